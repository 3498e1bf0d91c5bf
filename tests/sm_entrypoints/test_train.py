from __future__ import annotations

import csv
import json
import os
import signal
import socket
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from sm_entrypoints.contract import METRIC_NAMES, METRIC_PREFIX
from sm_entrypoints.models.model import build_model, load_model
from sm_entrypoints.train import main
from tests.printed_metrics import parse_metrics
from tests.sm_entrypoints.pictures import (
    CLASSES,
    job_variables,
    make_channels,
    start_instance,
    start_training,
)

pytestmark = pytest.mark.slow

FAST = {
    "model": "mobilenet_v3_small",
    "image_size": "32",
    "batch_size": "8",
    "precision": "float32",
    "threads": "1",
    "schedule": "constant",
}


def options(**hyperparameters: object) -> list[str]:
    """Return the arguments of a fast training, changed by ``hyperparameters``."""
    return [f"--{name}={value}" for name, value in {**FAST, **hyperparameters}.items()]


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_channels(tmp_path_factory.mktemp("data") / "ch'ien d'été", train=8)


@pytest.fixture(autouse=True)
def _signals_and_threads() -> Iterator[None]:
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    yield
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(threads)


class Job:
    """A job folder, and training in it by this very process."""

    def __init__(self, root: Path, channels: dict[str, Path]) -> None:
        self.root = root
        self.variables = job_variables(root, channels)
        self.output = root / "output/data"

    def train(self, **hyperparameters: object) -> Job:
        assert main(options(**hyperparameters), self.variables) == 0, self.failure()
        return self

    def fail(self, **hyperparameters: object) -> str:
        assert main(options(**hyperparameters), self.variables) == 1
        return self.failure()

    def failure(self) -> str:
        file = self.root / "output/failure"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def document(self, name: str) -> Any:
        return json.loads((self.output / name).read_text(encoding="utf-8"))

    def metrics(self, split: str, name: str = "loss") -> list[float]:
        lines = (self.output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        return [row[name] for row in map(json.loads, lines) if row["split"] == split]


def validation(job: Job) -> list[dict[str, str]]:
    with (job.output / "valid_predictions.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_job_delivers_everything(
    tmp_path: Path, channels: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    job = Job(tmp_path / "jøb", channels).train(epochs=2)
    printed = capsys.readouterr().out.splitlines()
    parsed = [values for line in printed if (values := parse_metrics(line))]
    assert [values["epoch"] for values in parsed[:2]] == [1, 2]
    seen = {name for values in parsed for name in values}
    # Three classes: no top five.
    assert seen == {"epoch", *(name for name in METRIC_NAMES if "top5" not in name)}
    assert printed[-1].startswith(METRIC_PREFIX)
    assert parsed[0]["train:loss"] == job.metrics("train")[0]
    assert parsed[-1]["valid:loss"] == min(job.metrics("valid"))
    assert parsed[-1]["test:loss"] == job.metrics("test")[0]

    model, card = load_model(job.root / "model")
    assert card.classes == tuple(sorted(CLASSES))
    assert card.metrics["valid:loss"] == min(job.metrics("valid"))
    assert card.metrics["test:accuracy"] == job.document("evaluation.json")["accuracy"]
    assert not any(parameter.isnan().any() for parameter in model.parameters())
    assert (job.root / "model/code/inference.py").is_file()
    assert (job.root / "model/code/sm_entrypoints/models/model.py").is_file()

    evaluation = job.document("evaluation.json")
    assert sum(map(sum, evaluation["confusion"])) == evaluation["samples"] == 12
    with (job.output / "predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    wrong = [row for row in rows if row["correct"] == "false"]
    assert len(rows) == 12
    assert 1 - len(wrong) / 12 == pytest.approx(evaluation["accuracy"])
    mean = sum(float(row["loss"]) for row in rows) / 12
    assert mean == pytest.approx(evaluation["loss"], abs=1e-12)
    validated = validation(job)
    assert len(validated) == 12
    mean = sum(float(row["loss"]) for row in validated) / 12
    assert mean == pytest.approx(min(job.metrics("valid")), abs=1e-12), "of the delivered epoch"
    mistakes = job.document("mistakes.json")
    assert len(mistakes) == len(wrong)
    assert all((job.output / mistake["file"]).is_file() for mistake in mistakes)
    summary = job.document("training.json")
    assert summary["epochs_run"] == 2
    assert summary["stopped"] is None
    assert summary["parameters_trained"] == summary["parameters_total"]
    assert set(summary["seconds"]) == {
        *("start_up", "initialization", "training", "evaluation", "finalization", "total")
    }


def test_one_seed_gives_one_result(tmp_path: Path, channels: dict[str, Path]) -> None:
    first, second, other = (
        Job(tmp_path / name, channels).train(epochs=2, augmentation="standard", seed=seed)
        for name, seed in (("a", 5), ("b", 5), ("c", 6))
    )
    assert first.metrics("train") == second.metrics("train")
    assert first.metrics("valid") == second.metrics("valid")
    assert first.metrics("train") != other.metrics("train")


def test_means_do_not_depend_on_the_batch_size(tmp_path: Path, channels: dict[str, Path]) -> None:
    # So small a rate changes nothing, resnet18 has no dropout and its frozen batch normalisation
    # does not see the batch: what differs could only be the way of averaging.
    still = {"model": "resnet18", "lr": 1e-12, "optimizer": "sgd", "trainable": "head"}
    jobs = [
        Job(tmp_path / str(size), channels).train(**still, epochs=1, batch_size=size)
        for size in (1, 7, 64)
    ]
    for split in ("train", "valid", "test"):
        losses = [job.metrics(split)[0] for job in jobs]
        assert losses == pytest.approx([losses[0]] * 3, abs=1e-6)
        assert len({job.metrics(split, "accuracy")[0] for job in jobs}) == 1


def test_cached_features_train_the_same(tmp_path: Path, channels: dict[str, Path]) -> None:
    learn = {"trainable": "head", "epochs": 3, "lr": 0.01}
    cached, uncached = (
        Job(tmp_path / value, channels).train(**learn, cache_features=value)
        for value in ("true", "false")
    )
    assert cached.document("training.json")["cached_features"] is True
    assert uncached.document("training.json")["cached_features"] is False
    for split in ("train", "valid", "test"):
        assert cached.metrics(split) == pytest.approx(uncached.metrics(split), abs=1e-5)


def test_features_are_cached_only_while_nobody_watches(
    tmp_path: Path, channels: dict[str, Path]
) -> None:
    job = Job(tmp_path, channels)
    job.train(trainable="head", epochs=1, instrumentation="on")
    assert job.document("training.json")["cached_features"] is False
    summary = job.document("instrumentation/summary.json")
    assert summary["steps"] == {"TRAIN": 3, "EVAL": 1}


def test_label_smoothing_changes_the_objective_not_the_report(
    tmp_path: Path, channels: dict[str, Path]
) -> None:
    still = {"lr": 1e-12, "optimizer": "sgd", "epochs": 1}
    plain = Job(tmp_path / "a", channels).train(**still)
    smooth = Job(tmp_path / "b", channels).train(**still, label_smoothing=0.5)
    assert smooth.metrics("valid") == pytest.approx(plain.metrics("valid"), abs=1e-6)
    assert smooth.metrics("train") == pytest.approx(plain.metrics("train"), abs=1e-6)


@pytest.mark.parametrize("trainable", ["head", "all"])
def test_a_resumed_training_is_the_uninterrupted_one(
    tmp_path: Path, channels: dict[str, Path], trainable: str
) -> None:
    learn = {"trainable": trainable, "lr": 0.01, "augmentation": "flip"}
    straight = Job(tmp_path / "straight", channels).train(**learn, epochs=4)
    resumed = Job(tmp_path / "resumed", channels).train(**learn, epochs=2)
    checkpoint = next((resumed.root / "checkpoints").iterdir())
    resumed.train(**learn, epochs=4)
    assert not checkpoint.exists()  # only the newest is kept
    for split in ("train", "valid", "test"):
        assert resumed.metrics(split) == straight.metrics(split)
    # A job that comes when all epochs are done has no scores of them: it makes them.
    (resumed.output / "valid_predictions.csv").unlink()
    resumed.train(**learn, epochs=4)
    losses = [[float(row["loss"]) for row in validation(each)] for each in (resumed, straight)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    ours, theirs = (load_model(job.root / "model")[0] for job in (straight, resumed))
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_sigterm_checkpoints_in_the_middle_and_the_rest_follows(
    tmp_path: Path, channels: dict[str, Path]
) -> None:
    job = Job(tmp_path / "stopped", channels)
    process = start_training(job.variables, *options(epochs=200, batch_size=2))
    assert process.stdout is not None
    for line in process.stdout:
        if '"epoch": 2,' in line:
            break
    os.kill(process.pid, signal.SIGTERM)
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    summary = job.document("training.json")
    assert summary["stopped"] == "sigterm"
    assert 2 <= summary["epochs_run"] < 200
    assert job.metrics("test") == []
    load_model(job.root / "model")

    last = summary["epochs_run"] + 2
    job.train(epochs=last, batch_size=2)
    straight = Job(tmp_path / "straight", channels).train(epochs=last, batch_size=2)
    assert job.metrics("train") == straight.metrics("train")
    assert job.metrics("valid") == straight.metrics("valid")


def test_a_trial_that_spot_takes_away_goes_on_where_it_was(
    tmp_path: Path, channels: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    # Two trials have one location in S3; another's checkpoint, further on, is there already.
    shared = {"WHIPPET_CHECKPOINTS_BY_JOB": "1"}
    learn = {"trainable": "head", "lr": 0.01, "augmentation": "flip", "epochs": 6, "batch_size": 8}
    trial = Job(tmp_path / "trial", channels)
    trial.variables |= {**shared, "TRAINING_JOB_NAME": "tune-001"}
    trial.train(**{**learn, "epochs": 7, "lr": 0.02})
    trial.variables["TRAINING_JOB_NAME"] = "tune-002"
    process = start_training(trial.variables, *options(**learn))
    assert process.stdout is not None
    for line in process.stdout:
        if '"epoch": 2,' in line:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    capsys.readouterr()
    trial.train(**learn)
    assert "resumed after epoch" in capsys.readouterr().out
    straight = Job(tmp_path / "straight", channels).train(**learn)
    assert trial.metrics("train") == straight.metrics("train")
    assert trial.metrics("valid") == straight.metrics("valid")
    kept = trial.root / "checkpoints"
    assert sorted(path.name for path in kept.iterdir()) == ["tune-001", "tune-002"]
    [checkpoint] = (kept / "tune-002").iterdir()
    assert checkpoint.name == "checkpoint-000006-000000000.safetensors"


def test_two_instances_find_what_one_finds(tmp_path: Path, channels: dict[str, Path]) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    # Nothing random but the order; two batches of 4 together are a batch of 8.
    learn = {"model": "resnet18", "trainable": "head", "lr": 0.01, "optimizer": "sgd", "epochs": 1}
    two = Job(tmp_path / "two", channels)
    processes = [
        start_instance(two.variables, node, port, *options(**learn, batch_size=4))
        for node in (0, 1)
    ]
    answers = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    assert METRIC_PREFIX in answers[0][0]
    assert METRIC_PREFIX not in answers[1][0]
    assert two.document("training.json")["processes"] == 2
    one = Job(tmp_path / "one", channels).train(**learn, batch_size=8)
    for split in ("train", "valid", "test"):
        assert two.metrics(split) == pytest.approx(one.metrics(split), abs=1e-5)
        assert two.metrics(split, "samples") == one.metrics(split, "samples")


def test_early_stopping_delivers_the_best_epoch(tmp_path: Path, channels: dict[str, Path]) -> None:
    job = Job(tmp_path, channels)
    job.train(epochs=60, patience=2, lr=0.05, trainable="head")
    summary = job.document("training.json")
    valid = job.metrics("valid")
    assert summary["stopped"] == "early_stopping"
    assert summary["epochs_run"] == len(valid) == summary["best_epoch"] + 2
    assert valid.index(min(valid)) + 1 == summary["best_epoch"]


def test_weights_start_a_training_with_a_fresh_head(
    tmp_path: Path, channels: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(99)
    weights = build_model("mobilenet_v3_small", 7).state_dict()
    folder = tmp_path / "weights"
    folder.mkdir()
    save_file(dict(weights), folder / "weights.safetensors")
    job = Job(tmp_path / "job", {**channels, "weights": folder}).train(epochs=1)
    assert "the head of the weights does not fit" in capsys.readouterr().out
    summary = job.document("training.json")
    assert summary["model"]["trainable"] == "head"
    assert "weights" in summary["model"]["fingerprints"]
    model, _ = load_model(job.root / "model")
    for name, tensor in model.state_dict().items():
        assert name.startswith("classifier.3") or torch.equal(tensor, weights[name])


def test_all_layers_go_on_from_a_delivered_head(
    tmp_path: Path, channels: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    head = Job(tmp_path / "head", channels).train(trainable="head", epochs=6, lr=0.05)
    folder = tmp_path / "weights"
    folder.mkdir()
    with tarfile.open(folder / "model.tar.gz", "w:gz") as archive:
        archive.add(head.root / "model", ".")
    capsys.readouterr()
    still = {"trainable": "all", "lr": 1e-9, "optimizer": "sgd", "epochs": 1}
    job = Job(tmp_path / "job", {**channels, "weights": folder}).train(**still, weights="channel")
    assert "weights weights/model.tar.gz: all tensors fit" in capsys.readouterr().out
    assert job.document("training.json")["model"]["trainable"] == "all"
    assert job.document("training.json")["seconds"]
    # So small a rate leaves the head as it was: it knows its classes from the first step on.
    ours, theirs = (load_model(each.root / "model")[0].state_dict() for each in (job, head))
    assert torch.allclose(ours["classifier.3.weight"], theirs["classifier.3.weight"], atol=1e-6)


def test_a_frozen_network_learns_with_another_classifier_in_its_weights(
    tmp_path: Path, channels: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Its classifier has two layers: the first one has no weights either, so it learns as well."""
    folder = tmp_path / "weights"
    folder.mkdir()
    given = build_model("mobilenet_v3_small", 9).state_dict()
    body = {name: value for name, value in given.items() if not name.startswith("classifier.")}
    save_file({**body, "classifier.0.weight": torch.zeros(4, 576)}, folder / "weights.safetensors")
    before = {name: value.clone() for name, value in body.items()}
    job = Job(tmp_path / "job", {**channels, "weights": folder}).train(epochs=1)
    printed = capsys.readouterr().out
    assert "classifier.0 start with random weights as well" in printed
    assert "left out: classifier.0.weight" in printed
    model, _ = load_model(job.root / "model")
    state = model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in before.items())
    torch.manual_seed(0)
    untrained = build_model("mobilenet_v3_small", 3).state_dict()["classifier.0.weight"]
    assert not torch.equal(state["classifier.0.weight"], untrained)


def test_weights_of_another_model_are_named(tmp_path: Path, channels: dict[str, Path]) -> None:
    folder = tmp_path / "weights"
    folder.mkdir()
    save_file(build_model("squeezenet1_1", 3).state_dict(), folder / "weights.safetensors")
    said = Job(tmp_path / "job", {**channels, "weights": folder}).fail()
    assert "does not belong to model 'mobilenet_v3_small'" in said
    assert "missing: features.0.0.weight" in said


@pytest.mark.parametrize(
    ("hyperparameters", "said"),
    [
        ({"learning_rate": 1}, "unknown hyperparameter 'learning_rate'"),
        ({"weights": "channel"}, "no 'weights' channel"),
        ({"lr": "1e9"}, "lr='1e9': must be a number > 0"),
        ({"cache_features": "true"}, "cache_features=true needs a frozen backbone"),
        ({"batch_size": 1, "image_size": 32}, "cannot learn from a batch of one image"),
        ({"model": "alexnet", "image_size": 32}, "alexnet does not take image_size=32: "),
    ],
)
def test_a_bad_request_fails_with_one_sentence(
    tmp_path: Path, channels: dict[str, Path], hyperparameters: dict[str, object], said: str
) -> None:
    job = Job(tmp_path, channels)
    failure = job.fail(**hyperparameters)
    assert said in failure
    assert "Traceback" not in failure
    assert not (job.root / "model/model.safetensors").exists()


def test_a_corrupt_image_fails_before_any_epoch(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    channels = make_channels(tmp_path / "data", train=3)
    (channels["valid"] / CLASSES[0] / "001 é.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    assert "bad image valid/blå cirkel/001 é.jpg" in Job(tmp_path / "job", channels).fail()
    assert METRIC_PREFIX not in capsys.readouterr().out


def test_a_loss_that_is_no_number_is_said(tmp_path: Path, channels: dict[str, Path]) -> None:
    said = Job(tmp_path, channels).fail(lr=100, momentum=0.99, optimizer="sgd", epochs=9)
    assert "lower the learning rate (lr=100.0)" in said


def test_an_unwritable_model_folder_is_said(tmp_path: Path, channels: dict[str, Path]) -> None:
    job = Job(tmp_path, channels)
    (tmp_path / "model").rmdir()
    (tmp_path / "model").write_text("a file in its place")
    assert "a file cannot be read or written" in job.fail(epochs=1)


def test_the_script_runs_by_path_and_fails_with_its_exit_code(
    tmp_path: Path, channels: dict[str, Path]
) -> None:
    job = Job(tmp_path, channels)
    started = time.monotonic()
    process = start_training(job.variables, "--model", "resnet17")
    _, errors = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "unknown model 'resnet17': did you mean resnet18" in errors
    assert "did you mean resnet18" in job.failure()
    assert time.monotonic() - started < 240
