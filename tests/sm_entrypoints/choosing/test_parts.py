"""Which pictures each round shows."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sm_entrypoints.choosing.parts import part_of, rounds
from sm_entrypoints.images.channels import Split, Splits


def split(name: str, *counts: int) -> Split:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    paths = tuple(f"{label}/{place}.jpg" for place, label in enumerate(labels))
    return Split(name=name, folder=Path(), paths=paths, labels=tuple(labels))


def test_a_part_has_the_share_of_each_class_and_never_too_few() -> None:
    whole = split("train", 400, 100, 3)
    part = part_of(whole, 0.1)
    assert Counter(part.labels) == {0: 40, 1: 10, 2: 3}
    assert list(part.paths) == [path for path in whole.paths if path in set(part.paths)]
    more = part_of(whole, 0.3)
    assert Counter(more.labels) == {0: 120, 1: 30, 2: 3}
    assert set(part.paths) < set(more.paths)
    assert part_of(whole, 1.0) == whole


def test_few_pictures_are_shown_in_one_round() -> None:
    def splits(train: int, valid: int) -> Splits:
        return Splits(
            classes=("a", "b"),
            train=split("train", train, train),
            valid=split("valid", valid, valid),
            test=None,
        )

    sizes = [[len(part) for part in parts] for parts in rounds(splits(200, 50))]
    assert sizes == [[40, 20], [120, 30], [400, 100]]
    assert [len(parts[0]) for parts in rounds(splits(10, 9))] == [20]
    assert [len(parts[0]) for parts in rounds(splits(40, 9))] == [20, 24, 80]
