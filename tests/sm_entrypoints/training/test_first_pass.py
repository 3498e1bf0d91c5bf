"""A watched training of a head: one epoch of the whole network, the others on its features."""

from __future__ import annotations

import csv
import json
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch

from sm_entrypoints.contract.arguments import parse_arguments
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.job.processes import StopReason, StopRequest
from sm_entrypoints.train import main, run
from tests.sm_entrypoints.pictures import (
    job_variables,
    make_channels,
    start_instance,
)

pytestmark = pytest.mark.slow

FAST = {
    "model": "mobilenet_v3_small",
    "image_size": "32",
    "batch_size": "8",
    "precision": "float32",
    "threads": "1",
    "trainable": "head",
    "lr": "0.01",
    "schedule": "constant",
    "epochs": "3",
    "instrumentation": "on",
}
WHOLE_FIRST = "epoch 1 ran the whole network; epochs 2 to 3 learn from its features"


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_channels(tmp_path_factory.mktemp("data"), train=9, valid=4, test=2)


@pytest.fixture(autouse=True)
def _signals_and_threads() -> Iterator[None]:
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    yield
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(threads)


def options(**hyperparameters: object) -> list[str]:
    return [f"--{name}={value}" for name, value in {**FAST, **hyperparameters}.items()]


class Job:
    """A job folder, and training in it by this very process."""

    def __init__(self, root: Path, channels: dict[str, Path]) -> None:
        self.root = root
        self.variables = job_variables(root, channels)
        self.output = root / "output/data"

    def train(self, **hyperparameters: object) -> Job:
        assert main(options(**hyperparameters), self.variables) == 0
        return self

    def document(self, name: str) -> Any:
        return json.loads((self.output / name).read_text(encoding="utf-8"))

    def lines(self, name: str) -> list[Any]:
        return [json.loads(line) for line in (self.output / name).read_text().splitlines()]

    def steps(self) -> list[dict[str, str]]:
        with (self.output / "instrumentation/steps.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def metrics(self) -> list[tuple[float, ...]]:
        names = ("epoch", "loss", "accuracy")
        return [tuple(row[name] for name in names) for row in self.lines("metrics.jsonl")]


def same(job: Job, other: Job) -> None:
    for ours, theirs in zip(job.metrics(), other.metrics(), strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("model", ["mobilenet_v3_small", "resnet18", "squeezenet1_1"])
def test_every_epoch_is_that_of_cached_features(
    tmp_path: Path,
    channels: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
    model: str,
) -> None:
    job = Job(tmp_path / "watched", channels).train(model=model)
    assert capsys.readouterr().out.splitlines().count(WHOLE_FIRST) == 1
    cached = Job(tmp_path / "cached", channels).train(model=model, cache_features="true")
    same(job, cached)
    assert len(job.metrics()) == 7  # three epochs of two splits, and the test
    for each, first in ((job, 2), (cached, 1)):
        told = each.document("training.json")
        assert (told["cached_features"], told["features_from_epoch"]) == (True, first)
        assert told["features_fit"] is None


def test_what_is_observed_says_what_ran(tmp_path: Path, channels: dict[str, Path]) -> None:
    job = Job(tmp_path, channels).train(model="squeezenet1_1")
    rows = job.steps()
    ran = {(row["mode"], row["epoch"], row["network"]) for row in rows}
    assert ran == {
        (mode, epoch, "whole" if epoch == "1" else "tail")
        for mode in ("TRAIN", "EVAL")
        for epoch in ("1", "2", "3")
    }
    assert [int(row["step"]) for row in rows if row["mode"] == "TRAIN"] == [*range(12)]
    summary = job.document("instrumentation/summary.json")
    assert summary["failure"] is None
    assert summary["steps"] == {"TRAIN": 12, "EVAL": 3}
    assert summary["tail_steps"] == {"TRAIN": 8, "EVAL": 2}
    assert summary["step_seconds"]["p50"] > summary["tail_step_seconds"]["p50"] > 0
    assert summary["operators"]["window"][1] < 4  # the profiled steps ran the whole network
    operators = (job.output / "instrumentation/operators.csv").read_text()
    assert "convolution" in operators
    told = job.document("training.json")
    rates = told["images_per_second_by_network"]
    assert rates["whole"] < told["images_per_second"] < rates["tail"]

    records = job.lines("instrumentation/reductions.jsonl")
    names: dict[bool, set[str]] = {True: set(), False: set()}
    for record in records:
        if record["mode"] == "TRAIN" and record["collection"] != "losses":
            names[record["epoch"] == 1].add(f"{record['collection']}/{record['name']}")
    whole, tail = names[True], names[False]
    assert {"inputs/input", "relu_output/features.1_output_0"} <= whole
    assert "features/input" in tail
    # The modules of the tail go by the names that they had.
    assert tail - {"features/input"} < whole
    assert {
        "outputs/output",
        "relu_output/classifier.2_output_0",
        "gradients/gradient/SqueezeNet_classifier.1.weight",
        "update_ratios/update_ratio/SqueezeNet_classifier.1.weight",
    } <= tail
    losses = [each for each in records if each["collection"] == "losses"]
    assert len(losses) == 15


def test_a_head_of_bfloat16_goes_on_in_float32(tmp_path: Path, channels: dict[str, Path]) -> None:
    job = Job(tmp_path / "job", channels).train(precision="bfloat16", model="resnet18")
    whole = Job(tmp_path / "whole", channels).train(
        precision="bfloat16", model="resnet18", cache_features="false"
    )
    told = whole.document("training.json")
    assert (told["cached_features"], told["features_from_epoch"]) == (False, None)
    assert told["features_fit"] is True
    # The first epoch is the very same; later ones are as near as bfloat16 allows.
    assert job.metrics()[0] == whole.metrics()[0]
    for ours, theirs in zip(job.metrics(), whole.metrics(), strict=True):
        assert ours[1] == pytest.approx(theirs[1], abs=0.05)


@pytest.mark.parametrize(
    "change",
    [{"augmentation": "flip"}, {"trainable": "all"}, {"cache_features": "false"}, {"epochs": 1}],
)
def test_what_changes_in_each_epoch_runs_the_whole_network(
    tmp_path: Path, channels: dict[str, Path], change: dict[str, object]
) -> None:
    job = Job(tmp_path, channels).train(**{"epochs": 2, **change})
    assert {row["network"] for row in job.steps()} == {"whole"}
    told = job.document("training.json")
    assert (told["cached_features"], told["features_from_epoch"]) == (False, None)


@pytest.mark.parametrize("changed", [{"augmentation": "standard", "views": 2, "seed": 3}], ids=str)
def test_views_are_the_same_training_whole_watched_or_cached(
    tmp_path: Path,
    channels: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, object],
) -> None:
    learn = {"model": "squeezenet1_1", **changed}
    watched = Job(tmp_path / "watched", channels).train(**learn)
    printed = capsys.readouterr().out
    assert "epochs 2 to 3 learn from the features of all images and their views" in printed
    # 27 training pictures with two views each, 12 for validation.
    assert "computed the features of 93 images and views of images in" in printed
    ran = {(row["epoch"], row["network"]) for row in watched.steps()}
    assert ran == {("1", "whole"), ("2", "tail"), ("3", "tail")}
    assert watched.document("training.json")["features_from_epoch"] == 2
    assert watched.document("instrumentation/summary.json")["failure"] is None
    cached = Job(tmp_path / "cached", channels).train(**learn, cache_features="true")
    whole = Job(tmp_path / "whole", channels).train(**learn, cache_features="false")
    same(watched, cached)
    same(whole, cached)
    assert cached.document("training.json")["features"]["views"] == 2
    assert whole.document("training.json")["features_fit"] is True


def test_a_mirrored_view_is_the_training_that_flips(
    tmp_path: Path, channels: dict[str, Path]
) -> None:
    learn = {"model": "squeezenet1_1", "augmentation": "flip", "instrumentation": "off"}
    flips = Job(tmp_path / "flips", channels).train(**learn)
    assert flips.document("training.json")["cached_features"] is False
    mirrored = Job(tmp_path / "mirrored", channels).train(**learn, views=1)
    assert mirrored.document("training.json")["cached_features"] is True
    same(flips, mirrored)


def test_views_that_do_not_fit_leave_every_epoch_whole(
    tmp_path: Path,
    channels: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Features of the images alone would fit: 39 images of 576 numbers.
    monkeypatch.setattr("sm_entrypoints.training.feeds._MEMORY_LIMIT", 100_000)
    job = Job(tmp_path, channels).train(epochs=2, augmentation="standard", views=2)
    assert "images and their views do not fit into memory: every epoch" in capsys.readouterr().out
    assert {row["network"] for row in job.steps()} == {"whole"}


def test_features_that_do_not_fit_are_not_kept(
    tmp_path: Path,
    channels: dict[str, Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sm_entrypoints.training.feeds._MEMORY_LIMIT", 10_000)
    job = Job(tmp_path, channels).train(epochs=2)
    printed = capsys.readouterr().out
    assert "the features (0 MB) do not fit into memory: every epoch runs the whole" in printed
    assert {row["network"] for row in job.steps()} == {"whole"}
    assert job.document("training.json")["features_fit"] is False


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_resumed_training_takes_one_more_look(
    tmp_path: Path, channels: dict[str, Path], capsys: pytest.CaptureFixture[str], epochs: int
) -> None:
    straight = Job(tmp_path / "straight", channels).train(epochs=4)
    resumed = Job(tmp_path / "resumed", channels).train(epochs=epochs)
    capsys.readouterr()
    resumed.train(epochs=4)
    printed = capsys.readouterr().out
    assert f"epochs {epochs + 1} to 4 learn from the features of one more pass" in printed
    assert "computed the features of 27 train images in" in printed
    assert "computed the features of 12 valid images in" in printed
    same(resumed, straight)
    assert {row["network"] for row in resumed.steps()} == {"tail"}
    assert resumed.document("instrumentation/summary.json")["failure"] is None


class StopAfter(StopRequest):
    """SIGTERM after so many steps."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    def reason(self, *, rule: bool) -> StopReason | None:
        self.left -= 1
        return "sigterm" if self.left < 0 else super().reason(rule=rule)


def test_a_training_stopped_in_its_first_epoch_completes_the_features(
    tmp_path: Path, channels: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    job = Job(tmp_path / "stopped", channels)
    environment = Environment.from_variables(job.variables)
    run(parse_arguments(options(model="resnet18")), environment, StopAfter(2))
    [checkpoint] = (job.root / "checkpoints").iterdir()
    assert checkpoint.stem == "checkpoint-000000-000000002"
    capsys.readouterr()
    job.train(model="resnet18")
    printed = capsys.readouterr().out
    assert "computed the features of 16 train images in" in printed
    assert "valid images" not in printed
    assert WHOLE_FIRST in printed
    straight = Job(tmp_path / "straight", channels).train(model="resnet18")
    same(job, straight)


def test_two_instances_share_their_features(tmp_path: Path, channels: dict[str, Path]) -> None:
    # 27 images: each epoch leaves another one out.
    learn = options(model="resnet18", optimizer="sgd", batch_size=8, epochs=2)
    jobs = {name: Job(tmp_path / name, channels) for name in ("auto", "false")}
    started = {}
    for (name, job), port in zip(jobs.items(), free_ports(len(jobs)), strict=True):
        started[name] = [
            start_instance(job.variables, node, port, *learn, f"--cache_features={name}")
            for node in (0, 1)
        ]
    answers = {
        name: [process.communicate(timeout=120)[0] for process in processes]
        for name, processes in started.items()
    }
    assert {process.returncode for each in started.values() for process in each} == {0}, answers
    sentence = "epoch 1 ran the whole network; epoch 2 learns from its features"
    told = [sentence in answer for name in jobs for answer in answers[name]]
    assert told == [True, False, False, False]
    same(jobs["auto"], jobs["false"])


def free_ports(count: int) -> list[int]:
    """Return ports that are free and differ: two jobs at one port wait for each other for ever."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
