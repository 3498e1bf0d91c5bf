"""Command lines that apply a verdict's change: what they say is what the flow ran."""

from __future__ import annotations

import shlex

import pytest

from cli.arguments import build_parser
from cli.run import from_options
from tasks.parameters import (
    DataParameters,
    ModelParameters,
    ResourceParameters,
    TrainingParameters,
    TuningParameters,
)
from tasks.rerun import change_commands

MODELS = {
    "data": DataParameters,
    "model": ModelParameters,
    "tuning": TuningParameters,
    "training": TrainingParameters,
    "resources": ResourceParameters,
}


def recorded(**groups):
    """The parameters of a release_model run as its record holds them."""
    dumped = {
        name: MODELS[name].model_validate(groups.get(name, {})).model_dump(mode="json")
        for name in MODELS
    }
    return {**dumped, "deployment": None}


def options_of(command):
    words = shlex.split(command)
    assert words[:2] == ["whippet", "run"]
    return from_options(build_parser().parse_args(words[1:]))


def test_nothing_to_change_needs_no_command():
    assert change_commands("r", recorded(), {}) == []


def test_the_change_is_measured_first_then_everything_runs_with_it():
    (_, first), (_, second) = change_commands("l'été", recorded(), {"num_workers": 2})
    assert shlex.split(first) == ["whippet", "improve", "l'été"]
    assert second == "whippet run --set num_workers=2"


@pytest.mark.parametrize(
    "data",
    [
        {"splits": {"train": "fold 1", "test": "it's"}, "convert": True, "name": "pets"},
        {"splits": {}, "skip_bad": True, "delete_removed": True},
        {"path": "s3://bucket/l'été", "valid_share": 0.2, "test_share": 0.1},
    ],
)
def test_what_was_said_of_the_data_is_said_again(data):
    (*_, (_, command)) = change_commands("r", recorded(data=data), {"lr": 0.1})
    assert options_of(command)["data"] == data


def test_the_command_stands_for_the_run_it_comes_from():
    parameters = recorded(
        data={"path": "my photos/l'été", "seed": 7},
        model={"architecture": "mobilenet_v2", "weights": "none", "image_size": 160},
        tuning={
            "max_jobs": 3,
            "seed": 7,
            "ranges": {
                "lr": {"type": "continuous", "min": 1e-4, "max": 0.01, "scaling": "Logarithmic"},
                "batch_size": {"type": "categorical", "values": [16, 32]},
                "weight_decay": {"type": "continuous", "min": 0.0, "max": 0.1},
            },
            "fixed": {"optimizer": "adamw"},
        },
        training={
            "epochs": 5,
            "hyperparameters": {"optimizer": "adamw"},
            "debugger": "off",
            "rules": {"Overfit": "stop"},
        },
        resources={"max_runtime_seconds": 600, "spot": True, "max_wait_seconds": 900},
    )
    _, (_, command) = change_commands("r", parameters, {"batch_size": 64, "cache_features": True})
    chosen = options_of(command)
    changed = {"optimizer": "adamw", "batch_size": 64, "cache_features": True}
    for name, model in MODELS.items():
        again = model.model_validate(chosen[name]).model_dump(mode="json")
        expected = parameters[name]
        if name == "tuning":  # what the change sets is no longer searched
            ranges = {key: span for key, span in expected["ranges"].items() if key != "batch_size"}
            expected = {**expected, "fixed": changed, "ranges": ranges}
        if name == "training":
            expected = {**expected, "hyperparameters": changed}
        assert again == expected, name


@pytest.mark.parametrize(
    "parameters",
    [
        recorded(training={"save_interval": 3}),
        recorded(training={"profiling_interval_ms": 100}),
        recorded(data={"seed": 1}, tuning={"seed": 2}),
        {"data": {}, "model": {}, "training": {}, "resources": {}},
    ],
)
def test_what_the_command_line_cannot_say_is_left_to_improve(parameters):
    ((_, command),) = change_commands("r", parameters, {"lr": 0.1})
    assert command == "whippet improve r"


def test_a_change_brings_what_it_needs_in_every_trial():
    ranges = {
        "augmentation": {"type": "categorical", "values": ["none", "standard"]},
        "lr": {"type": "continuous", "min": 1e-4, "max": 0.01},
    }
    parameters = recorded(tuning={"ranges": ranges})
    _, (_, command) = change_commands("r", parameters, {"cache_features": "true"})
    chosen = options_of(command)["tuning"]
    assert chosen["fixed"] == {"cache_features": True, "augmentation": "none"}
    assert list(chosen["ranges"]) == ["lr"]


@pytest.mark.parametrize(
    "tuning",
    [
        {"ranges": {"lr": {"type": "continuous", "min": 1e-4, "max": 0.01}}},
        {"strategy": "Grid", "ranges": {"lr": {"type": "categorical", "values": [0.1, 0.01]}}},
    ],
)
def test_a_search_of_what_the_change_sets_is_not_printed_as_another_search(tuning):
    ((_, command),) = change_commands("r", recorded(tuning=tuning), {"lr": 0.1})
    assert command == "whippet improve r"
