"""How much each round shows, and what a choice may spend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from sm_entrypoints.choosing.rounds import LEAST_PICTURES, Rounds, affordable
from sm_entrypoints.images.channels import Split, Splits


def splits(train: int, valid: int, *, classes: int = 2) -> Splits:
    def split(name: str, count: int) -> Split:
        labels = tuple(label for label in range(classes) for _ in range(count))
        paths = tuple(f"{label}/{place}.jpg" for place, label in enumerate(labels))
        return Split(name=name, folder=Path(), paths=paths, labels=labels)

    return Splits(
        classes=tuple(map(str, range(classes))),
        train=split("train", train),
        valid=split("valid", valid),
        test=None,
    )


def sizes(rounds: Rounds, *flops: Sequence[float]) -> list[list[int] | None]:
    shown = [rounds.next(each) for each in flops]
    return [[len(part) for part in parts] if parts else None for parts in shown]


def test_many_pictures_are_shown_by_tenths() -> None:
    eight, four, two = [1.0] * 8, [1.0] * 4, [1.0] * 2
    found = sizes(Rounds(splits(200, 50), eight), eight, four, two, two)
    assert found == [[40, 20], [120, 30], [400, 100], None]


def test_a_first_round_takes_half_of_the_budget_at_most() -> None:
    eight = [1.0] * 8
    # Of 35 pictures of a class a quarter: four of each split.
    assert sizes(Rounds(splits(30, 5, classes=12), eight), eight) == [[48, 48]]
    assert sizes(Rounds(splits(30, 30, classes=12), eight), eight) == [[84, 84]]


def test_what_is_left_decides_how_much_the_last_two_see() -> None:
    flops = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 7.0, 7.0]
    rounds = Rounds(splits(200, 50), flops)
    first, second, third, fourth = sizes(rounds, flops, [1.0, 1.0, 7.0, 7.0], [7.0] * 2, [7.0] * 2)
    assert (first, second, fourth) == ([40, 20], [120, 30], None)
    assert third is not None
    spent = 60 * 20 + 90 * 16 + (sum(third) - 150) * 14
    # A hundredth of the pictures would be too much.
    assert 0.5 * 500 * 20 - 14 * 5 < spent <= 0.5 * 500 * 20


def test_a_round_that_would_show_nothing_new_is_left_out() -> None:
    two = [1.0, 1.0]
    assert sizes(Rounds(splits(10, 9), two), two, two) == [[20, 18], None]
    assert sizes(Rounds(splits(40, 9), two), two, two, two, two) == [
        [20, 18],
        [24, 18],
        [80, 18],
        None,
    ]


@pytest.mark.parametrize(
    ("pictures", "networks", "most"),
    [
        (1000, 8, 500),
        (1000, 4, 500),
        (1000, 3, 2000 / 3),
        (1000, 2, 1000),
        (1000, 1, 1000),
        (200, 8, LEAST_PICTURES),
        (100, 8, 100),
    ],
)
def test_a_choice_may_spend_half_unless_that_proves_nothing(
    pictures: int, networks: int, most: float
) -> None:
    assert affordable(pictures, networks) == pytest.approx(most)
