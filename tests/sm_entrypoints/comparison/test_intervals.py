from __future__ import annotations

import math

import numpy as np
import pytest

from sm_entrypoints.comparison.intervals import mean_estimate, median_estimate


def test_six_values_give_their_whole_range_and_more_than_95_percent() -> None:
    found = median_estimate([3.0, 1.0, 2.0, 6.0, 5.0, 4.0])
    assert (found.value, found.low, found.high) == (3.5, 1.0, 6.0)
    assert found.confidence == pytest.approx(1 - 2 / 64)


def test_fewer_values_say_how_little_they_are_worth() -> None:
    assert median_estimate([2.0]).confidence == 0
    assert median_estimate([2.0, 1.0]).confidence == 0.5
    assert median_estimate([1.0] * 5).confidence < 0.95


@pytest.mark.parametrize(("count", "rank"), [(8, 1), (9, 2), (12, 3), (17, 5), (20, 6)])
def test_the_ranks_are_those_of_the_sign_test(count: int, rank: int) -> None:
    # Conover, Practical Nonparametric Statistics, the confidence interval for a median.
    found = median_estimate([float(value) for value in range(1, count + 1)])
    assert (found.low, found.high) == (rank, count + 1 - rank)


def test_one_wild_block_moves_the_interval_of_twenty_by_one_rank() -> None:
    values = [1 + index / 100 for index in range(20)]
    wild = median_estimate([*values[:-1], 50.0])
    assert wild.high < 1.2
    assert wild.value == median_estimate(values).value


def test_the_interval_covers_the_median_of_a_skewed_distribution() -> None:
    random = np.random.default_rng(0)
    draws = [median_estimate(random.lognormal(0, 0.5, 9).tolist()) for _ in range(2000)]
    covered = np.mean([found.low <= 1 <= found.high for found in draws])
    assert 0.945 < covered < 0.975  # exact: 0.961


def test_students_interval() -> None:
    found = mean_estimate([1.0, 2.0, 3.0])
    assert found.value == 2
    assert found.high - found.value == pytest.approx(4.303 / math.sqrt(3))
    assert found.low == pytest.approx(4 - found.high)


def test_one_value_says_nothing_about_the_mean() -> None:
    found = mean_estimate([1.0])
    assert (found.low, found.high) == (-math.inf, math.inf)


@pytest.mark.parametrize("estimate", [median_estimate, mean_estimate])
def test_no_values_are_refused(estimate) -> None:
    with pytest.raises(ValueError, match="at least one value"):
        estimate([])
