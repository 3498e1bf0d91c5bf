from __future__ import annotations

import json
import re

import pytest

from sm_entrypoints import contract
from tests.printed_metrics import parse_metrics


def read_as_sagemaker(line: str) -> dict[str, float]:
    """Read a log line as SageMaker does: each regex by itself, its first group."""
    found = {}
    for definition in contract.metric_definitions():
        match = re.search(definition["Regex"], line)
        if match:
            found[definition["Name"]] = float(match.group(1))
    return found


EXAMPLES = [
    {"epoch": 1, "train:loss": 0.6931471805599453},
    {"epoch": 12, "valid:loss": 1e-07, "valid:accuracy": 1.0},
    {"valid:loss": -0.25, "test:loss": 1.5e300, "epoch:seconds": 0.001},
    {"test:accuracy": 0.0, "test:top5_accuracy": 1 / 3},
    {name: number / 7 for number, name in enumerate(contract.METRIC_NAMES)},
]


@pytest.mark.parametrize("values", EXAMPLES)
def test_what_is_printed_is_read_back_exactly(values):
    line = contract.format_metrics(values)
    assert "\n" not in line
    assert parse_metrics(line) == values
    assert parse_metrics(f"2026-01-01T00:00:00 {line}\n") == values
    assert read_as_sagemaker(line) == values


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_missing_not_a_value(odd):
    line = contract.format_metrics({"epoch": 2, "valid:loss": odd, "train:loss": 0.5})
    assert parse_metrics(line) == {"epoch": 2, "train:loss": 0.5}
    assert read_as_sagemaker(line) == {"epoch": 2, "train:loss": 0.5}


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match=r"unknown metrics \['val_loss'\]; known: \['epoch'"):
        contract.format_metrics({"epoch": 1, "val_loss": 0.5})


@pytest.mark.parametrize(
    "line",
    [
        "",
        "epoch 1 done",
        '{"valid:loss": 0.5}',
        "[metrics] not json",
        "[metrics] [1, 2]",
        '[metrics] {"valid:loss": 0.5',
        "[metrics]",
    ],
)
def test_other_lines_carry_no_metrics(line):
    assert parse_metrics(line) is None


def test_odd_values_of_a_users_script_are_dropped():
    line = contract.METRIC_PREFIX + json.dumps({"a": 1, "b": "x", "c": None, "d": True, "e": [1]})
    assert parse_metrics(line) == {"a": 1}
    assert parse_metrics(f'[metrics] {{"a": 1{"0" * 400}, "b": 2}}') == {"b": 2}


def test_definitions_fit_sagemakers_limits_and_read_one_metric_each():
    definitions = contract.metric_definitions()
    assert len(definitions) == len({d["Name"] for d in definitions}) <= 40
    for definition in definitions:
        assert 1 <= len(definition["Regex"]) <= 500
        line = contract.format_metrics({definition["Name"]: 0.5})
        assert read_as_sagemaker(line) == {definition["Name"]: 0.5}


def test_the_objective_is_a_metric_of_every_epoch_and_never_of_the_test():
    assert contract.OBJECTIVE_METRIC in contract.EPOCH_METRICS
    assert not contract.OBJECTIVE_METRIC.startswith("test")


def test_architectures():
    assert contract.require_architecture("mobilenet_v2") == "mobilenet_v2"
    with pytest.raises(ValueError, match=r"unknown model 'resnet-18': did you mean resnet18"):
        contract.require_architecture("resnet-18")
    with pytest.raises(ValueError, match=r"unknown model 'zzz': known: alexnet, "):
        contract.require_architecture("zzz")


def test_names_are_sorted_and_unique():
    assert list(contract.HYPERPARAMETERS) == sorted(set(contract.HYPERPARAMETERS))
    assert len(set(contract.ARCHITECTURES)) == len(contract.ARCHITECTURES)
