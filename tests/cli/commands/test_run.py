from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import ValidationError

from cli.main import main
from cli.options import from_options
from cli.parser import build_parser
from cli.run_summary import print_summary
from platforms import Settings
from platforms.errors import ParameterError
from sm_entrypoints import contract
from tasks.parameters.ranges import CategoricalRange, ContinuousRange, IntegerRange
from tasks.parameters.run import (
    RUN_PARAMETERS,
    DataParameters,
    DeploymentParameters,
    ModelParameters,
    ResourceParameters,
    TrainingParameters,
    TuningParameters,
)
from tests.worlds.run_records import best, deployed, run_record


def options(*argv: str):
    return from_options(build_parser().parse_args(["run", *argv]))


def parameters(*argv: str):
    chosen = options(*argv)
    return {name: model.model_validate(chosen[name]) for name, model in RUN_PARAMETERS.items()}


def test_paths_hold_wherever_the_run_is_resumed(awkward_path, monkeypatch):
    (awkward_path / "photos é").mkdir()
    (awkward_path / "w.pt").touch()
    monkeypatch.chdir(awkward_path)
    found = parameters("--data", "photos é", "--weights", "w.pt")
    assert found["data"].path == str(awkward_path / "photos é")
    assert found["model"].weights == str(awkward_path / "w.pt")
    assert (found["data"].shown_path, found["model"].shown_weights) == ("photos é", "w.pt")
    for typed in ("photos é/", "./photos é", "../" + awkward_path.name + "/photos é", "link"):
        (awkward_path / "link").exists() or (awkward_path / "link").symlink_to("photos é")
        data = parameters("--data", typed)["data"]
        assert data.shown_path == typed
        assert Path(data.path).is_absolute()
        assert Path(data.path).samefile("photos é")
    # One that somebody changes in the UI is no longer the one that was typed.
    assert data.model_copy(update={"path": "/other"}).shown_path == "/other"
    monkeypatch.setenv("HOME", str(awkward_path))
    data = parameters("--data=~/photos é")["data"]
    assert (data.path, data.shown_path) == (str(awkward_path / "photos é"), "~/photos é")
    # Typed in full, it is what it resolves to; of an unknown user, it is not there.
    assert options("--data", data.path)["data"] == {"path": data.path}
    assert options("--data", "~nobody-here/x")["data"] == {"path": "~nobody-here/x"}
    # Seen from the project, not from here; a word; a typing error: as they were given.
    (awkward_path / "imagenet").touch()
    found = parameters("--data", "samples/clipart", "--weights", "imagenet")
    assert (found["data"].path, found["model"].weights) == ("samples/clipart", "imagenet")
    assert options("--weights", "s3://b/k")["model"]["weights"] == "s3://b/k"


def test_no_option_means_every_default():
    assert options() == {name: {} for name in RUN_PARAMETERS}
    assert parameters() == {
        "data": DataParameters(),
        "model": ModelParameters(),
        "tuning": TuningParameters(),
        "training": TrainingParameters(),
        "deployment": DeploymentParameters(),
        "resources": ResourceParameters(),
    }


def test_every_option_reaches_its_parameter():
    found = parameters(
        *("--data", "my photos/é", "--seed", "7"),
        *("--model", "mobilenet_v2", "--weights", "none", "--trainable", "all"),
        *("--image-size", "160", "--max-jobs", "4", "--max-parallel-jobs", "2"),
        *("--max-epochs", "6", "--strategy", "Random", "--early-stopping", "Auto"),
        *("--preset", "lr-batch-epochs", "--epochs", "9", "--set", "optimizer=sgd"),
        *("--no-debugger", "--max-runtime", "600", "--hours-to-live", "0.5"),
        *("--instance-type", "ml.g4dn.xlarge", "--instance-count", "2", "--max-usd", "12.50"),
        *("--endpoint-instance-type", "ml.m5.large"),
        *("--rule", "ExplodingTensor=stop", "--rule", "Overtraining=off"),
    )
    assert found == {
        "data": DataParameters(path="my photos/é", seed=7),
        "model": ModelParameters(
            architecture="mobilenet_v2", weights="none", trainable="all", image_size=160
        ),
        "tuning": TuningParameters(
            max_jobs=4,
            max_parallel_jobs=2,
            max_epochs=6,
            strategy="Random",
            early_stopping="Auto",
            preset="lr-batch-epochs",
            fixed={"optimizer": "sgd"},
            seed=7,
        ),
        "training": TrainingParameters(
            epochs=9,
            hyperparameters={"optimizer": "sgd"},
            debugger=False,
            rules={"ExplodingTensor": "stop", "Overtraining": "off"},
        ),
        "deployment": DeploymentParameters(hours_to_live=0.5, instance_type="ml.m5.large"),
        "resources": ResourceParameters(
            instance_type="ml.g4dn.xlarge",
            instance_count=2,
            max_runtime_seconds=600,
            max_usd=Decimal("12.50"),
        ),
    }
    # They travel to the server as JSON.
    again = {n: type(m).model_validate_json(m.model_dump_json()) for n, m in found.items()}
    assert again == found


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("lr=1e-4:1e-2", "lr", ContinuousRange(min=1e-4, max=1e-2)),
        (
            "lr=1e-4:1e-2:log",
            "lr",
            ContinuousRange(min=1e-4, max=1e-2, scaling="Logarithmic"),
        ),
        ("lr=0.1:1:linear", "lr", ContinuousRange(min=0.1, max=1, scaling="Linear")),
        ("epochs=2:4", "epochs", IntegerRange(min=2, max=4)),
        ("patience=1:100:log", "patience", IntegerRange(min=1, max=100, scaling="Logarithmic")),
        ("batch_size=16,32", "batch_size", CategoricalRange(values=[16, 32])),
        ("optimizer=adam,sgd", "optimizer", CategoricalRange(values=["adam", "sgd"])),
        ("cache_features=true,false", "cache_features", CategoricalRange(values=[True, False])),
        ("optimizer=adam", "optimizer", CategoricalRange(values=["adam"])),
    ],
)
def test_ranges(text, name, expected):
    assert parameters("--range", text)["tuning"].ranges == {name: expected}


@pytest.mark.parametrize("text", ["", "DeadRelu", "DeadRelu=", "=stop"])
def test_a_rule_without_its_action_says_how_to_write_one(text):
    with pytest.raises(ParameterError, match="NAME=ACTION"):
        parameters("--rule", text)


def test_ranges_of_several_names():
    found = parameters("--range", "lr=0.1:1", "--range", "batch_size=8,16")["tuning"]
    assert set(found.ranges or {}) == {"lr", "batch_size"}


@pytest.mark.parametrize(
    "text", ["", "lr", "lr=", "=1:2", "lr=1:2:3:4", "lr=1:2:cubic", "lr=a:b", "lr=1:b", "lr=true:2"]
)
def test_a_range_that_cannot_be_read_says_how_to_write_one(text):
    with pytest.raises(ParameterError, match="--range"):
        options("--range", text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr=1e-2:1e-4", "reversed"),
        ("eps=1e-8:1e-9", "reversed"),
        ("lr=1:1", "empty"),
        ("lr=0:1:log", "needs min > 0"),
        ("batch_size=16,16", "more than once"),
        ("learnin_rate=0.1:1", "unknown hyperparameter 'learnin_rate'"),
    ],
)
def test_a_range_that_cannot_be_searched_says_why(text, message):
    with pytest.raises((ValidationError, ParameterError), match=message):
        parameters("--range", text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lr=0.01", {"lr": 0.01}),
        ("batch_size=32", {"batch_size": 32}),
        ("channels_last=true", {"channels_last": True}),
        ("optimizer=adamw", {"optimizer": "adamw"}),
        ("rules=a=b", {"rules": "a=b"}),
    ],
)
def test_fixed_hyperparameters_are_typed(text, expected):
    found = parameters("--set", text)
    assert found["tuning"].fixed == found["training"].hyperparameters == expected
    (value,) = found["tuning"].fixed.values()
    assert type(value) is type(next(iter(expected.values())))


@pytest.mark.parametrize("text", ["", "lr", "lr=", "=0.1"])
def test_an_assignment_that_cannot_be_read_says_how_to_write_one(text):
    with pytest.raises(ParameterError, match="write NAME=VALUE"):
        options("--set", text)


def test_help_lists_every_hyperparameter():
    parser = build_parser()
    (commands,) = [action for action in parser._actions if action.choices]
    text = commands.choices["run"].format_help()
    assert not [n for n in contract.HYPERPARAMETERS if n not in text.replace("\n", " ")]
    json.dumps(text)


@pytest.mark.parametrize(
    ("verdict", "shown"),
    [
        (None, "verdict  -"),
        ({"sentence": "Nothing to change.", "change": {}}, "verdict  Nothing to change.\n"),
        (
            {"sentence": "Training waits for its images.", "change": {"num_workers": 2}},
            "verdict  Training waits for its images.  (measure it: whippet improve demo)",
        ),
    ],
)
def test_the_summary_says_the_verdict_and_how_to_measure_it(capsys, whippet_home, verdict, shown):
    answer = {"label": "cat", "probability": 0.9}
    asked = {"image": "cat/a.jpg", "label": "cat", "file": "a.jpg", "predictions": [answer]}
    record = run_record(
        "demo",
        best=best("demo-tune-001", hyperparameters={"lr": 0.1}, tuned=["lr"], objective=0.5),
        query={**asked, "command": "curl …"},
        evaluation={"accuracy": 0.75, "samples": 4},
        verdict=verdict,
        report="report.html",
        endpoint=deployed("demo-endpoint", "tomorrow"),
        seconds={"train": 3.0},
    )
    print_summary(Settings(), record, "http://127.0.0.1:4200/api")
    printed = capsys.readouterr().out
    assert shown in printed
    assert "75.0% of 4 images" in printed


def test_the_platform_may_be_chosen_for_one_run(capsys, monkeypatch, whippet_home, tmp_path):
    # Set before, so that it is put back: the command sets it for its tasks.
    monkeypatch.setenv("WHIPPET_PLATFORM", "local")
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    assert main(["run", "--platform", "aws"]) == 1
    assert "no AWS region: set WHIPPET_REGION" in capsys.readouterr().err
    assert Settings().platform == "aws"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--from-step", "train"], "give --resume RUN, too"),
        (["--resume", "any", "--from-step", "report"], "use tune, train, deploy"),
        (["--resume", "any", "--from-step", "train"], "there is no run 'any'"),
    ],
)
def test_a_step_to_begin_at_is_checked_before_anything_is_started(capsys, whippet_home, argv, said):
    assert main(["run", *argv]) == 1
    assert said in capsys.readouterr().err
    assert not (whippet_home / "server.json").exists()
