"""The numbers by which networks are dropped and picked."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sm_entrypoints.choosing.standing import Standing, behind, hopeless, leader, pick


def standing(right: str) -> Standing:
    return Standing(train_pictures=10, right=right, loss=1.0, loss_error=0.1)


def test_errors_are_paired_on_the_same_pictures() -> None:
    best, other = standing("1" * 90 + "0" * 10), standing("1" * 84 + "0" * 12 + "1" * 4)
    gap, error = behind(other, best)
    assert gap == pytest.approx(0.02)
    # Six lost, four won, one more assumed.
    assert error == pytest.approx(math.sqrt(11 - 4 / 100) / 100)
    # A bootstrap over the same pictures says the same, but for the assumed one.
    random = np.random.default_rng(0)
    pairs = np.array([int(b) - int(o) for b, o in zip(best.right, other.right, strict=True)])
    means = pairs[random.integers(0, 100, (4000, 100))].mean(axis=1)
    assert error == pytest.approx(means.std(), rel=0.1)
    assert error < math.hypot(best.accuracy_error, other.accuracy_error)
    assert behind(best, other)[0] == -gap


def test_the_accuracy_of_few_pictures_is_never_certain() -> None:
    assert standing("1" * 20).accuracy_error == pytest.approx(math.sqrt(21 / 22 / 22 / 20))
    assert standing("10" * 200).accuracy_error == pytest.approx(0.025)


def test_only_what_is_far_behind_can_no_longer_win() -> None:
    rows = {
        "best": standing("1" * 40),
        "near": standing("1" * 39 + "0"),
        "far": standing("1" * 20 + "0" * 20),
        "few": standing("1" * 38 + "00"),
    }
    assert set(hopeless(rows, "best")) == {"far"}
    assert hopeless(rows, "best")["far"][0] == pytest.approx(0.5)


def test_of_equals_the_cheaper_one_leads_and_the_faster_one_is_picked() -> None:
    rows = {"a": standing("1110"), "b": standing("0111"), "c": standing("0000")}
    assert leader(rows, {"a": 2.0, "b": 1.0, "c": 0.5}) == "b"
    assert pick(rows, "b", {"a": 3.0, "b": 4.0, "c": 1.0}) == "a"
    many = {"slow": standing("1" * 100), "fast": standing("1" * 99 + "0")}
    assert pick(many, "slow", {"slow": 9.0, "fast": 1.0}) == "fast"
    many["fast"] = standing("1" * 90 + "0" * 10)
    assert pick(many, "slow", {"slow": 9.0, "fast": 1.0}) == "slow"
