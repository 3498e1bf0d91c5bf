from __future__ import annotations

from collections import Counter

import pytest

from platforms.errors import ParameterError
from tasks.dataset.checking.split import check_shares, split_class

BOTH = {"valid": 0.15, "test": 0.15}


def singles(count: int) -> list[list[str]]:
    return [[f"digest-{number}"] for number in range(count)]


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (3, {"train": 1, "valid": 1, "test": 1}),
        (4, {"train": 2, "valid": 1, "test": 1}),
        (20, {"train": 14, "valid": 3, "test": 3}),
        (1000, {"train": 700, "valid": 150, "test": 150}),
    ],
)
def test_shares_are_kept_and_no_split_is_empty(count: int, expected: dict[str, int]) -> None:
    assert Counter(split_class(singles(count), BOTH, seed=0)) == expected


def test_large_shares_leave_something_for_training() -> None:
    splits = split_class(singles(3), {"valid": 0.49, "test": 0.49}, seed=0)
    assert sorted(splits) == ["test", "train", "valid"]


def test_same_seed_same_split_whatever_the_order() -> None:
    groups = singles(50)
    forward = dict(zip(map(str, groups), split_class(groups, BOTH, seed=3), strict=True))
    backward = split_class(groups[::-1], BOTH, seed=3)
    assert dict(zip(map(str, groups[::-1]), backward, strict=True)) == forward
    assert split_class(groups, BOTH, seed=4) != split_class(groups, BOTH, seed=3)


def test_one_more_image_moves_few_others() -> None:
    before = split_class(singles(100), BOTH, seed=0)
    after = split_class(singles(101), BOTH, seed=0)
    assert sum(old != new for old, new in zip(before, after, strict=False)) <= 2


def test_groups_stay_together_and_large_ones_train() -> None:
    groups = [[f"film-{frame}" for frame in range(60)], *singles(40)]
    splits = split_class(groups, BOTH, seed=0)
    assert splits[0] == "train"
    assert Counter(splits) == {"train": 11, "valid": 15, "test": 15}


def test_only_large_groups_still_fill_every_split() -> None:
    groups = [[f"{name}{number}" for number in range(10)] for name in "abc"]
    assert sorted(split_class(groups, BOTH, seed=0)) == ["test", "train", "valid"]


@pytest.mark.parametrize("shares", [{"valid": 0.0}, {"valid": 0.5, "test": 0.5}, {"test": -0.1}])
def test_bad_shares(shares: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match="sum to less than 1"):
        check_shares(shares)
