"""Which pictures a part has."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from sm_entrypoints.choosing.parts import part_of
from sm_entrypoints.images.channels import Split


def split(name: str, *counts: int) -> Split:
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    paths = tuple(f"{label}/{place}.jpg" for place, label in enumerate(labels))
    return Split(name=name, folder=Path(), paths=paths, labels=tuple(labels))


def test_a_part_has_the_share_of_each_class_and_never_too_few() -> None:
    whole = split("train", 400, 100, 3)
    part = part_of(whole, 0.1, least=10)
    assert Counter(part.labels) == {0: 40, 1: 10, 2: 3}
    assert list(part.paths) == [path for path in whole.paths if path in set(part.paths)]
    more = part_of(whole, 0.3, least=10)
    assert Counter(more.labels) == {0: 120, 1: 30, 2: 3}
    assert set(part.paths) < set(more.paths)
    assert part_of(whole, 1.0, least=10) == whole
    assert Counter(part_of(whole, 0.1, least=1).labels) == {0: 40, 1: 10, 2: 1}
