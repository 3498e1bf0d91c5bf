from __future__ import annotations

import json

import pytest

from sm_entrypoints.comparison.arguments import parse_comparison
from sm_entrypoints.contract import HYPERPARAMETERS
from sm_entrypoints.contract.arguments import HyperparameterError


def parse(change: object, *more: str):
    return parse_comparison(["--lr", "0.01", f"--change={json.dumps(change)}", *more])


def test_the_change_is_typed_and_applied_to_the_training() -> None:
    found = parse({"num_workers": 2.0, "cache_features": True}, "--trainable", "head")
    assert found.baseline.lr == found.changed.lr == 0.01
    assert dict(found.change) == {"num_workers": 2, "cache_features": "true"}
    assert (found.changed.num_workers, found.changed.cache_features) == (2, "true")
    assert found.baseline.num_workers == -1


def test_a_change_quoted_twice_is_the_same() -> None:
    # SageMaker hands hyperparameters on as str() of their JSON: a dict would become Python's.
    text = json.dumps(json.dumps({"num_workers": 2}))
    assert parse_comparison(["--change", text]).change == {"num_workers": 2}


def test_nobody_watches_a_comparison() -> None:
    found = parse({"lr": 0.1}, "--instrumentation=on")
    assert found.baseline.instrumentation == found.changed.instrumentation == "off"


@pytest.mark.parametrize(
    ("change", "measure", "alters"),
    [
        ({"num_workers": 2}, "speed", False),
        ({"cache_features": "true"}, "speed", False),
        ({"batch_size": 64}, "speed", True),
        ({"batch_size": 64, "lr": 0.1}, "speed", True),
        ({"lr": 0.1}, "quality", True),
        ({"epochs": 9}, "quality", True),
        ({"patience": 2}, "duration", True),
    ],
)
def test_what_is_measured_follows_from_the_change(change, measure, alters) -> None:
    found = parse(change)
    assert (found.measure, found.alters_numbers) == (measure, alters)


def test_the_caller_may_say_what_to_measure() -> None:
    assert parse({"batch_size": 8}, "--measure=quality").measure == "quality"
    assert parse({"trainable": "head"}, "--measure=speed").measure == "speed"


def test_fewer_epochs_are_judged_by_the_time_of_whole_trainings() -> None:
    assert parse({"epochs": 2}, "--measure=speed").measure == "duration"
    assert parse({"patience": 2}, "--measure=quality").measure == "quality"


@pytest.mark.parametrize(("cached", "wanted"), [("True", "true"), ("false", "false")])
def test_features_are_cached_as_they_were_when_speed_is_compared(cached, wanted) -> None:
    assert parse({"threads": 1}, f"--cached={cached}").baseline.cache_features == wanted
    assert parse({"lr": 1}, f"--cached={cached}").baseline.cache_features == "auto"
    kept = parse({"threads": 1}, f"--cached={cached}", "--cache_features=false")
    assert kept.baseline.cache_features == "false"


def test_limits() -> None:
    found = parse({"lr": 0.1}, "--pairs", "8", "--seconds=9.5", "--job_epochs", "3", "--epochs=7")
    assert (found.pairs, found.seconds, found.job_epochs) == (8, 9.5, 3)
    assert parse({"lr": 0.1}, "--epochs=7").job_epochs == 7


@pytest.mark.parametrize(
    ("change", "more", "message"),
    [
        ([1], [], "must be a JSON object"),
        ({}, [], "must be a JSON object"),
        ({"lr": 0.01}, [], "already uses"),
        ({"seed": 1}, [], "a change of seed cannot be compared"),
        ({"learning_rate": 1}, [], "a change of learning_rate cannot be compared: known: "),
        ({"lr": "fast"}, [], "lr='fast': must be a number > 0"),
        ({"batch_size": 0}, [], "batch_size='0': must be"),
        ({"lr": 1}, ["--measure=both"], "measure='both' must be one of"),
        ({"lr": 1}, ["--cached=maybe"], "--cached.*invalid choice"),
        ({"lr": 1}, ["--pairs=5"], "pairs='5' must be >= 6"),
        ({"lr": 1}, ["--seconds=soon"], "seconds='soon' is not a number"),
        ({"cache_features": "true"}, ["--augmentation=flip"], "needs augmentation=none"),
        ({"lr": 1}, ["--no_such=1"], "unknown hyperparameter 'no_such'"),
    ],
)
def test_bad_input_is_refused_in_a_sentence(change, more, message) -> None:
    with pytest.raises(HyperparameterError, match=message):
        parse(change, *more)


def test_a_comparison_needs_a_change() -> None:
    with pytest.raises(HyperparameterError, match="--change"):
        parse_comparison(["--lr=1"])


def test_every_hyperparameter_is_known_or_left_out_on_purpose() -> None:
    left_out = {row.name for row in HYPERPARAMETERS.values() if row.judged_by is None}
    assert left_out == {"instrumentation", "keep_checkpoints", "rules", "seed"}
