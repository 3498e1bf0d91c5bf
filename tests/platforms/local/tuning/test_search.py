from __future__ import annotations

import math

import pytest

from platforms.local.tuning.search import Search, SearchPlan
from platforms.local.tuning.search_space import search_space

REVERSE = "ReverseLogarithmic"
SPACE = search_space(
    {
        "ContinuousParameterRanges": [
            {"Name": "lr", "MinValue": "1e-4", "MaxValue": "1", "ScalingType": "Logarithmic"},
            {"Name": "m", "MinValue": "0.5", "MaxValue": "0.999"} | {"ScalingType": REVERSE},
        ],
        "IntegerParameterRanges": [{"Name": "n", "MinValue": "1", "MaxValue": "9"}],
        "CategoricalParameterRanges": [{"Name": "c", "Values": ["a", "b"]}],
    }
)
GRID = search_space(
    {
        "CategoricalParameterRanges": [
            {"Name": "c", "Values": ["a", "b", "c"]},
            {"Name": "d", "Values": ["1", "2"]},
        ]
    }
)


def plan(strategy="Random", space=SPACE, **more) -> SearchPlan:
    return SearchPlan(strategy=strategy, space=space, maximize=False, seed=7, **more)


def objective(hyperparameters: dict[str, str]) -> float:
    return abs(math.log10(float(hyperparameters["lr"])) + 2)


def run(search: Search, count: int, start: int = 0) -> list[dict[str, str]]:
    tried = []
    for number in range(start, start + count):
        tried.append(search.propose(number))
        search.finish(number, objective(tried[-1]))
    return tried


@pytest.mark.parametrize("strategy", ["Random", "Bayesian", "Hyperband"])
def test_draws_are_in_range_and_repeatable(strategy):
    tried = run(Search(plan(strategy, max_resource=9)), 12)
    for each in tried:
        assert 1e-4 <= float(each["lr"]) <= 1
        assert 0.5 <= float(each["m"]) <= 0.999
        assert str(int(each["n"])) == each["n"]
        assert 1 <= int(each["n"]) <= 9
        assert each["c"] in {"a", "b"}
    assert tried == run(Search(plan(strategy, max_resource=9)), 12)
    assert len({each["lr"] for each in tried}) == 12


def test_logarithmic_draws_cover_every_decade():
    tried = run(Search(plan()), 60)
    decades = {math.floor(math.log10(float(each["lr"]))) for each in tried}
    assert decades == {-4, -3, -2, -1}
    # Reverse logarithmic: half of log(1 - x) over 0.5..0.999 lies above 0.9776.
    assert sum(float(each["m"]) > 0.97 for each in tried) > 20


@pytest.mark.parametrize("strategy", ["Random", "Bayesian", "Hyperband"])
def test_an_adopting_search_continues_as_the_first_would_have(strategy):
    whole = run(Search(plan(strategy, max_resource=9)), 10)
    resumed = Search(plan(strategy, max_resource=9))
    for number, each in enumerate(whole[:6]):
        resumed.adopt(number, each)
        resumed.finish(number, objective(each))
    assert run(resumed, 4, start=6) == whole[6:]


def test_bayesian_beats_its_own_start():
    tried = [objective(each) for each in run(Search(plan("Bayesian")), 30)]
    assert sum(tried[-10:]) < sum(tried[:10])


def test_grid_visits_every_combination_once_even_when_restarted():
    search = Search(plan("Grid", GRID))
    first = [search.propose(number) for number in range(3)]
    search.finish(1, 0.5)
    resumed = Search(plan("Grid", GRID))
    for number, each in enumerate(first):
        resumed.adopt(number, each)
    rest = [resumed.propose(number) for number in range(3, 6)]
    for number in range(6):
        resumed.finish(number, 1.0)
    assert len({tuple(each.items()) for each in first + rest}) == 6


def test_a_search_learns_from_parents_only_what_fits():
    search = Search(plan("Bayesian"))
    good = {"lr": "0.01", "m": "0.9", "n": "3", "c": "a"}
    assert search.learn(good, 0.1)
    assert not search.learn({**good, "lr": "20"}, 0.1)
    assert not search.learn({"lr": "0.01"}, 0.1)
    assert not Search(plan("Grid", GRID)).learn({"c": "a", "d": "1"}, 0.1)


def test_parents_steer_a_bayesian_search():
    search = Search(plan("Bayesian"))
    for index in range(24):
        lr = 10 ** (-4 + index / 6)
        search.learn({"lr": repr(lr), "m": "0.9", "n": "3", "c": "a"}, objective({"lr": str(lr)}))
    tried = [objective(each) for each in run(search, 6)]
    blind = [objective(each) for each in run(Search(plan("Random")), 6)]
    assert sum(tried) < sum(blind)


def test_early_stopping_stops_a_trial_below_the_median():
    search = Search(plan(early_stopping=True))
    for number in range(3):
        search.propose(number)
        assert not search.report(number, [0.5, 0.4, 0.3])
        search.finish(number, 0.3)
    search.propose(3)
    assert not search.report(3, [0.2])
    search.propose(4)
    assert search.report(4, [0.9])
    search.finish(4, 0.9, stopped=True)
    assert not search.report(3, [0.2, 0.1])


def test_without_early_stopping_nothing_is_stopped():
    search = Search(plan())
    for number in range(6):
        search.propose(number)
        assert not search.report(number, [float(number)] * 20)
        search.finish(number, float(number))


def test_hyperband_stops_most_and_keeps_the_best():
    search = Search(plan("Hyperband", max_resource=9))
    stopped = []
    for number in range(18):
        search.propose(number)
        value = 1.0 - number / 100 if number == 0 else 1.0 + number
        if search.report(number, [value] * 9):
            stopped.append(number)
        search.finish(number, value, stopped=number in stopped)
    assert len(stopped) >= 6


def test_hyperband_stops_a_trial_that_goes_beyond_its_maximum():
    search = Search(plan("Hyperband", min_resource=3, max_resource=3))
    search.propose(0)
    assert not search.report(0, [1.0, 1.0])
    search.propose(1)
    assert search.report(1, [0.1] * 5)


def test_trials_without_objective_are_passed_over():
    search = Search(plan("Bayesian"))
    search.propose(0)
    search.finish(0, None)
    assert search.propose(1)["c"] in {"a", "b"}


def test_numbers_must_be_proposed_in_order():
    search = Search(plan())
    with pytest.raises(ValueError, match="not the next one"):
        search.propose(1)
