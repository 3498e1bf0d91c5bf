"""Command lines that apply a verdict's change: what they say is what the flow ran."""

from __future__ import annotations

import shlex

import pytest

from cli.options import from_options
from cli.parser import build_parser
from platforms.errors import shown
from tasks.parameters.run import (
    DataParameters,
    ModelParameters,
    ResourceParameters,
    TrainingParameters,
    TuningParameters,
)
from tasks.report.rerun import change_commands, next_run, recorded_commands
from tests.worlds.run_records import run_record

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


@pytest.mark.parametrize("typed", ["l'été", "./l'été/", "-photos", "../here/l'été"])
def test_paths_are_printed_as_they_were_typed(typed, awkward_path, monkeypatch):
    here = awkward_path / "here"
    for folder in ("l'été", "-photos"):
        (here / folder).mkdir(parents=True)
    (here / "my weights.pt").touch()
    monkeypatch.chdir(here)
    words = ["run", f"--data={typed}", "--weights", "my weights.pt"]
    chosen = from_options(build_parser().parse_args(words))
    parameters = recorded(data=chosen["data"], model=chosen["model"])
    _, (label, command) = change_commands("r", parameters, {"lr": 0.1})
    assert label == f"Run everything again with the change, in the folder {shown(str(here))}"
    assert typed in " ".join(shlex.split(command))
    assert str(here) not in command
    again = options_of(command)
    assert (again["data"], again["model"]) == (chosen["data"], chosen["model"])


def test_a_run_of_an_earlier_version_has_its_paths_in_full():
    parameters = recorded(data={"path": "/a/b c"})
    del parameters["data"]["path_typed"], parameters["model"]["weights_typed"]
    _, (label, command) = change_commands("r", parameters, {"lr": 0.1})
    assert label == "Run everything again with the change"
    assert command == "whippet run --data '/a/b c' --set lr=0.1"


def test_a_path_that_was_changed_is_not_the_typed_one():
    typed = {"text": "photos", "folder": "/home/me"}
    parameters = recorded(data={"path": "/other", "path_typed": typed})
    _, (label, command) = change_commands("r", parameters, {"lr": 0.1})
    assert label == "Run everything again with the change"
    assert command == "whippet run --data /other --set lr=0.1"


def test_the_command_stands_for_the_run_it_comes_from():
    parameters = recorded(
        data={"path": "my photos/l'été", "seed": 7},
        model={"architecture": "mobilenet_v2", "weights": "none", "image_size": 160},
        tuning={
            "max_jobs": 3,
            "seed": 7,
            "warm_start_from": ["an-earlier-search", "another"],
            "lint": "warn",
            "ranges": {
                "lr": {"type": "continuous", "min": 1e-4, "max": 0.01, "scaling": "Logarithmic"},
                "batch_size": {"type": "categorical", "values": [16, 32]},
                "weight_decay": {"type": "continuous", "min": 0.0, "max": 0.1},
            },
            "fixed": {"optimizer": "adamw"},
        },
        training={
            "epochs": 5,
            "save_interval": 3,
            "profiling_interval_ms": 100,
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
        recorded(data={"seed": 1}, tuning={"seed": 2}),
        recorded(data={"seed": 1}),  # --seed would be the search's, too
        {"data": {}, "model": {}, "training": {}, "resources": {}},
    ],
)
def test_what_the_command_line_cannot_say_is_left_to_improve(parameters):
    ((_, command),) = change_commands("r", parameters, {"lr": 0.1})
    assert command == "whippet improve r"


@pytest.mark.parametrize(
    "deployment",
    [
        {"kind": "serverless", "memory_mb": 2048, "max_concurrency": 9},
        {"kind": "asynchronous", "instance_type": "ml.m5.large"},
        {"max_instances": 3, "hours_to_live": 0.5},
    ],
)
def test_the_endpoint_is_the_same_one(deployment):
    parameters = {**recorded(), "deployment": deployment}
    (*_, (_, command)) = change_commands("r", parameters, {"lr": 0.1})
    assert options_of(command)["deployment"] == deployment


@pytest.mark.parametrize(("old", "words"), [(True, ""), (False, " --debugger off")])
def test_the_debugger_of_an_earlier_versions_record(old, words):
    parameters = recorded()
    parameters["training"]["debugger"] = old
    (*_, (_, command)) = change_commands("r", parameters, {"lr": 0.1})
    assert command == f"whippet run --set lr=0.1{words}"


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


def test_the_next_run_is_this_one_with_the_change():
    parameters = recorded(data={"path": "/pets"}, model={"architecture": "mobilenet_v2"})
    record = run_record("r", parameters=parameters)
    label, command = next_run(record, {"epochs": 8})
    assert label == "Run everything again with the change"
    assert command == "whippet run --data /pets --model mobilenet_v2 --set epochs=8"
    assert recorded_commands(record, {"epochs": 8})[1] == (label, command)
    assert next_run(run_record("r"), {"epochs": 8}) is None, "not a run of the whole pipeline"


def test_a_network_that_was_chosen_is_the_one_that_runs_again():
    chosen = {"network": "squeezenet1_1", "architecture": "squeezenet1_1", "among": 2}
    parameters = recorded(model={"architecture": "auto"})
    _, command = next_run(run_record("r", parameters=parameters, network=chosen), {"lr": 0.01})
    assert "--model squeezenet1_1" in command
