from __future__ import annotations

import json
import math
from typing import get_args

import optuna
import pytest
from pydantic import TypeAdapter, ValidationError

from platforms.local.tuning.search_space import search_space
from sm_entrypoints import contract
from tasks.parameters.ranges import (
    CategoricalRange,
    ContinuousRange,
    IntegerRange,
    Preset,
    SearchRange,
    at_edge,
    edges_of,
    preset_ranges,
    ranges_from_wire,
    require_known,
    wire_ranges,
    without_epochs,
)

RANGE = TypeAdapter(SearchRange)


@pytest.mark.parametrize("kind", ["continuous", "integer"])
def test_reversed_and_empty_ranges_say_what_to_do(kind):
    with pytest.raises(ValidationError, match=r"reversed \(min=9.* > max=2.*\): swap min and max"):
        RANGE.validate_python({"type": kind, "min": 9, "max": 2})
    with pytest.raises(ValidationError, match=r"range is empty .*put the value into `fixed`"):
        RANGE.validate_python({"type": kind, "min": 2, "max": 2})


def test_the_write_ups_eps_range_high_to_low_is_refused():
    with pytest.raises(ValidationError, match="range is reversed"):
        ContinuousRange(min=1e-8, max=1e-9)


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ({"type": "continuous", "min": float("nan"), "max": 1}, "finite number"),
        ({"type": "continuous", "min": 0, "max": float("inf")}, "finite number"),
        ({"type": "continuous", "min": 0, "max": 1, "scaling": "Logarithmic"}, "needs min > 0"),
        ({"type": "integer", "min": 0, "max": 9, "scaling": "Logarithmic"}, "needs min > 0"),
        (
            {"type": "continuous", "min": 0.5, "max": 1, "scaling": "ReverseLogarithmic"},
            "0 <= min < max < 1",
        ),
        ({"type": "integer", "min": 0, "max": 9, "scaling": "ReverseLogarithmic"}, "scaling"),
        ({"type": "integer", "min": 0.5, "max": 9}, "integer"),
        ({"type": "continuous", "min": 0, "max": 1, "step": 2}, "Extra inputs"),
        ({"type": "categorical", "values": []}, "at least 1 item"),
        ({"type": "categorical", "values": list(range(31))}, "at most 30 items"),
        ({"type": "categorical", "values": [16, 32, 16]}, "values has 16 more than once"),
        ({"type": "categorical", "values": [16, "16"]}, "values has 16 more than once"),
        ({"type": "discrete", "values": [1]}, "discrete"),
        ({"min": 1, "max": 2}, "discriminator"),
    ],
)
def test_ranges_that_cannot_work_are_refused(span, message):
    with pytest.raises(ValidationError, match=message):
        RANGE.validate_python(span)


@pytest.mark.parametrize("preset", get_args(Preset))
def test_presets_are_known_ordered_and_survive_json(preset):
    ranges = preset_ranges(preset)
    require_known(ranges)
    for span in ranges.values():
        assert RANGE.validate_json(span.model_dump_json()) == span
    assert ranges is not preset_ranges(preset)


def test_preset_eps_is_low_to_high():
    eps = preset_ranges("lr-batch-eps-decay")["eps"]
    assert isinstance(eps, ContinuousRange)
    assert (eps.min, eps.max) == (1e-9, 1e-8)


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        (1, None),
        (2, None),
        (3, IntegerRange(min=2, max=3)),
        (5, IntegerRange(min=2, max=5)),
        (9, IntegerRange(min=2, max=5)),
    ],
)
def test_epochs_are_cut_to_the_most(most, expected):
    ranges = preset_ranges("lr-batch-epochs")
    found = without_epochs(ranges, most)
    assert found.get("epochs") == expected
    assert {name: span for name, span in found.items() if name != "epochs"} == {
        name: span for name, span in ranges.items() if name != "epochs"
    }
    assert "epochs" in ranges, "the argument was changed"


@pytest.mark.parametrize(("most", "left"), [(10, [2, 5, 10]), (5, [2, 5]), (4, None), (1, None)])
def test_categorical_epochs_are_cut_too(most, left):
    found = without_epochs({"epochs": CategoricalRange(values=[2, 5, 10])}, most)
    assert found == ({"epochs": CategoricalRange(values=left)} if left else {})


def test_unknown_names_get_a_suggestion():
    with pytest.raises(
        ValueError, match=r"unknown hyperparameter 'weight_decy': did you mean 'weig"
    ):
        require_known(["lr", "weight_decy"])
    with pytest.raises(ValueError, match="unknown hyperparameter 'zzzz': known: augmentation"):
        require_known(["zzzz"])
    require_known(contract.HYPERPARAMETERS)


LOG = ContinuousRange(min=1e-5, max=1e-1, scaling="Logarithmic")
LINEAR = ContinuousRange(min=0, max=1)
REVERSE = ContinuousRange(min=0.5, max=0.999, scaling="ReverseLogarithmic")


@pytest.mark.parametrize(
    ("value", "span", "expected"),
    [
        (1e-5, LOG, "lower"),
        (1.15e-5, LOG, "lower"),  # 1.5% of four decades
        (1.3e-5, LOG, None),
        (1e-4, LOG, None),  # 0.1% of the range on a linear scale
        (0.08, LOG, None),
        (0.09, LOG, "upper"),
        (0.1, LOG, "upper"),
        (0.019, LINEAR, "lower"),
        (0.021, LINEAR, None),
        (0.979, LINEAR, None),
        (0.981, LINEAR, "upper"),
        (0.99, REVERSE, None),  # 98.2% of the range on a linear scale
        (0.9989, REVERSE, "upper"),
        (2, IntegerRange(min=2, max=5), "lower"),
        (3, IntegerRange(min=2, max=5), None),
        (5, IntegerRange(min=2, max=5), "upper"),
        (7, IntegerRange(min=2, max=5), "upper"),
        (16, CategoricalRange(values=[16, 32]), None),
        ("adam", LINEAR, None),
        (True, LINEAR, None),
    ],
)
def test_edges_are_measured_on_the_ranges_own_scale(value, span, expected):
    assert at_edge(value, span) == expected


@pytest.mark.parametrize("preset", get_args(Preset))
def test_draws_of_a_preset_are_seldom_at_an_edge(preset):
    """On its own scale a range has 2% at each end; measured on another one, it was 57%."""
    spans = {name: each for name, each in preset_ranges(preset).items() if _is_wide(each)}
    distributions = search_space(wire_ranges(spans)).distributions
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    draws = [study.ask(distributions).params for _ in range(500)]
    for name, span in spans.items():
        share = sum(at_edge(draw[name], span) is not None for draw in draws) / len(draws)
        assert 0.01 < share < 0.08, (name, share)


def _is_wide(span):
    return not isinstance(span, CategoricalRange) and span.max - span.min != 3


@pytest.mark.parametrize(
    ("name", "value", "span", "expected"),
    [
        ("lr", 1e-5, ContinuousRange(min=1e-5, max=0.1), "lower"),
        ("lr", 2e-3, ContinuousRange(min=1e-5, max=0.1), None),
        ("momentum", 0.0, ContinuousRange(min=0, max=0.9), None),  # nothing lies below 0
        ("momentum", 0.9, ContinuousRange(min=0, max=0.9), "upper"),
        ("epochs", 1, IntegerRange(min=1, max=5), None),
        ("epochs", 2, IntegerRange(min=2, max=5), "lower"),
        ("their_own", 0.0, ContinuousRange(min=0, max=0.9), "lower"),
    ],
)
def test_only_a_range_that_can_be_widened_is_to_be_widened(name, value, span, expected):
    assert edges_of({name: value, "other": 1}, {name: span, "missing": span}).get(name) == expected


def test_ranges_on_the_wire_are_strings_that_read_back():
    ranges = {
        "lr": LOG,
        "epochs": IntegerRange(min=2, max=5),
        "batch_size": CategoricalRange(values=[16, 32]),
        "optimizer": CategoricalRange(values=["adam", "sgd"]),
        "channels_last": CategoricalRange(values=[True, False]),
    }
    wire = wire_ranges(ranges)
    assert wire["IntegerParameterRanges"] == [
        {"Name": "epochs", "MinValue": "2", "MaxValue": "5", "ScalingType": "Auto"}
    ]
    (lr,) = wire["ContinuousParameterRanges"]
    assert math.isclose(float(str(lr["MinValue"])), 1e-5)
    assert lr["ScalingType"] == "Logarithmic"
    values = {str(span["Name"]): span["Values"] for span in wire["CategoricalParameterRanges"]}
    assert values == {
        "batch_size": ["16", "32"],
        "optimizer": ["adam", "sgd"],
        "channels_last": ["true", "false"],
    }
    assert json.loads(json.dumps(wire)) == wire


def test_ranges_survive_the_wire():
    ranges = {
        "lr": ContinuousRange(min=1e-4, max=0.1, scaling="Logarithmic"),
        "epochs": IntegerRange(min=2, max=5),
        "optimizer": CategoricalRange(values=["sgd", "adamw"]),
    }
    assert ranges_from_wire(wire_ranges(ranges)) == ranges
    fixed = {"Name": "lr", "MinValue": "0.1", "MaxValue": "0.1"}
    assert ranges_from_wire({"ContinuousParameterRanges": [fixed]}) == {}
