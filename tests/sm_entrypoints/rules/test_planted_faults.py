"""For every tensor rule a faulty real training that it catches, and a clean one where all pass.

What is asserted comes from ``rules.json`` as the job itself wrote it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sm_entrypoints.models.model import ModelCard
from sm_entrypoints.rules.tensor.rules import TENSOR_RULES
from tests.sm_entrypoints.planted import (
    Run,
    Tiny,
    make_data,
    one_rare_class,
    shuffle_labels,
    train,
    weights_channel,
)

pytestmark = pytest.mark.slow

BY_NAME = {rule.name: rule for rule in TENSOR_RULES}


class AllZeros(Tiny):
    """Nobody initialised it."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


class TooSmall(nn.Module):
    """Six layers, each of which takes the signal down to a fiftieth."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for index in range(6):
            layer = nn.Conv2d(8 if index else 3, 8, 3, stride=2 if index < 2 else 1, padding=1)
            nn.init.normal_(layer.weight, std=0.002)
            nn.init.zeros_(layer.bias)
            layers += [layer, nn.ReLU()]
        self.body = nn.Sequential(*layers)
        self.fc = nn.Linear(8, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.body(images).mean((2, 3)))


class Saturated(Tiny):
    """A sigmoid behind weights that are a million times too large."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.relu1 = nn.Sigmoid()
        with torch.no_grad():
            self.conv1.weight.mul_(1e6)


class Falling(Tiny):
    """Its numbers become infinite in the ninth training step: the third one of epoch 2."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.steps = 0

    def features(self, images: Tensor) -> Tensor:
        features = super().features(images)
        self.steps += self.training
        return features / 0 if self.training and self.steps == 9 else features


class BrokenInEval(Tiny):
    """It learns, and its numbers are infinite wherever it is measured."""

    def features(self, images: Tensor) -> Tensor:
        features = super().features(images)
        return features if self.training else features / 0


class Sleepy(Tiny):
    """Something keeps the job waiting for a while before its second epoch."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.epochs = 0

    def train(self, mode: bool = True) -> Tiny:
        self.epochs += mode
        if mode and self.epochs == 2:
            time.sleep(2)
        return super().train(mode)


Plant = Callable[[Path, dict[str, Path]], Run]


def _weights(change: Callable[[dict[str, Tensor]], None], **metadata: str) -> Plant:
    def plant(root: Path, channels: dict[str, Path]) -> Run:
        weights = weights_channel(root / "weights", change, metadata=metadata)
        return train(root / "job", {**channels, "weights": weights}, trainable="all")

    return plant


def _as_given(**hyperparameters: Any) -> Plant:
    return lambda root, channels: train(root / "job", channels, **hyperparameters)


def _unchanged(tensors: dict[str, Tensor]) -> None:
    pass


def _kill_units(tensors: dict[str, Tensor]) -> None:
    tensors["conv2.bias"].fill_(-1000.0)


def _overflow(tensors: dict[str, Tensor]) -> None:
    tensors["conv1.weight"].mul_(1e10)
    tensors["conv2.weight"].mul_(1e36)


PLANTS: dict[str, Plant] = {
    "clean": _as_given(epochs=4),
    "learning rate x 1000": _as_given(lr=10),
    "learning rate of nothing": _as_given(lr=1e-12),
    "weights of zero": _as_given(network=AllZeros),
    "initial weights too small": _as_given(network=TooSmall),
    "saturated sigmoid": _as_given(network=Saturated),
    "dead units": _weights(_kill_units),
    "overflow": _weights(_overflow),
    "images not normalised": _weights(_unchanged, mean="[0, 0, 0]", std="[1, 1, 1]"),
    "shuffled labels": lambda root, _: train(root / "job", shuffle_labels(root / "data")),
    "fifty images by heart": lambda root, _: train(
        root / "job", shuffle_labels(root / "data", train=17), epochs=25
    ),
    "one class in twenty": lambda root, _: train(
        root / "job", one_rare_class(root / "data"), epochs=1
    ),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """Return the run of a plant; each of them trains once."""
    root = tmp_path_factory.mktemp("planted faults' é")
    channels, made = make_data(root / "data"), dict[str, Run]()

    def run(plant: str) -> Run:
        if plant not in made:
            made[plant] = PLANTS[plant](root / plant, channels)
        return made[plant]

    return run


def test_planted_faults_clean_run_is_silent(runs: Callable[[str], Run]) -> None:
    run = runs("clean")
    assert run.exit_code == 0, run.printed
    found = run.rules()
    assert {name: found[name]["triggered"] for name in BY_NAME} == dict.fromkeys(BY_NAME, 0)
    # What it was silent about was looked at.
    silent = {name for name in BY_NAME if found[name]["status"] == "NotApplicable"}
    assert silent == {"SaturatedActivation", "SimilarAcrossRuns"}
    assert not [line for line in run.printed.splitlines() if line.startswith("rule ")]


@pytest.mark.parametrize(
    ("rule", "plant"),
    [
        ("ExplodingTensor", "overflow"),
        ("LossNotDecreasing", "learning rate x 1000"),
        ("LossNotDecreasing", "learning rate of nothing"),
        ("WeightUpdateRatio", "learning rate x 1000"),
        ("WeightUpdateRatio", "learning rate of nothing"),
        ("UnchangedTensor", "learning rate of nothing"),
        ("TensorVariance", "learning rate x 1000"),
        ("TensorVariance", "weights of zero"),
        ("AllZero", "weights of zero"),
        ("PoorWeightInitialization", "weights of zero"),
        ("PoorWeightInitialization", "initial weights too small"),
        ("VanishingGradient", "initial weights too small"),
        ("DeadRelu", "dead units"),
        ("SaturatedActivation", "saturated sigmoid"),
        ("CheckInputImages", "images not normalised"),
        ("Confusion", "shuffled labels"),
        ("Overfit", "fifty images by heart"),
        ("Overtraining", "fifty images by heart"),
        ("ClassImbalance", "one class in twenty"),
    ],
)
def test_planted_faults_are_caught(runs: Callable[[str], Run], rule: str, plant: str) -> None:
    run = runs(plant)
    found = run.rules()[rule]
    assert found["status"] == "IssuesFound", run.printed
    assert found["triggered"] >= 1
    assert found["marks"][0]["message"]
    assert found["action"] == "warn"
    # The report's own file has AWS's five members.
    document = run.document(f"profiler-output/profiler-reports/{rule}.json")
    assert set(document) == {
        *("RuleTriggered", "Violations", "Details", "Datapoints", "RuleParameters")
    }
    assert document["RuleTriggered"] == found["triggered"]


@pytest.mark.parametrize(
    ("rule", "plant"),
    [
        ("ExplodingTensor", "overflow"),
        ("LossNotDecreasing", "learning rate x 1000"),
        ("AllZero", "weights of zero"),
        ("DeadRelu", "dead units"),
        ("Overfit", "fifty images by heart"),
    ],
)
def test_planted_faults_are_said_while_training(
    runs: Callable[[str], Run], rule: str, plant: str
) -> None:
    said = [line for line in runs(plant).printed.splitlines() if line.startswith(f"rule {rule} ")]
    assert len(said) == 1
    mark = runs(plant).rules()[rule]["marks"][0]
    assert said[0].startswith(f"rule {rule} at step {mark['step']} (epoch {mark['epoch']}, ")


def test_planted_faults_of_time_are_caught(tmp_path: Path, runs: Callable[[str], Run]) -> None:
    # The rule's ten seconds would be most of this file's time.
    channels = make_data(tmp_path / "data", train=4, valid=4, test=4)
    run = train(tmp_path / "job", channels, Sleepy, epochs=2)
    rule = BY_NAME["StalledTrainingRule"]
    found = run.judge(rule, least_seconds=1.5)
    assert found.triggered == 1
    assert (found.marks[0].epoch, found.marks[0].mode) == (2, "TRAIN")
    assert found.details["longest_gap_seconds"] >= 2
    assert run.judge(rule).triggered == 0  # less than ten seconds are nobody's loss
    assert runs("clean").judge(rule, least_seconds=1.5).triggered == 0


def test_planted_faults_of_two_equal_runs_are_caught(tmp_path: Path) -> None:
    channels = make_data(tmp_path / "data", train=8, valid=4, test=4)
    first, again, other = (
        train(tmp_path / name, channels, epochs=1, batch_size=4, seed=seed).evidence()
        for name, seed in (("first", 1), ("again", 1), ("other", 2))
    )
    rule = BY_NAME["SimilarAcrossRuns"]
    both = replace(first, others=(other.records, again.records))
    found = rule.evaluate(both, rule.parameters)
    assert (found.triggered, found.details["same"]) == (1, [2])
    different = rule.evaluate(replace(first, others=(other.records,)), rule.parameters)
    assert different.status == "NoIssuesFound"


def test_planted_faults_stop_a_job_that_has_no_epoch_yet(tmp_path: Path) -> None:
    channels = make_data(tmp_path / "data")
    run = train(tmp_path / "job", channels, AllZeros, rules="AllZero=stop,DeadRelu=off")
    assert run.exit_code == 1
    assert run.failure.startswith("stopped by rule AllZero at step 1 (epoch 1, TRAIN): gradient/")
    assert "initialise it at random" in run.failure
    assert "\n" not in run.failure  # a sentence, no traceback
    rules, summary = run.document("instrumentation/rules.json"), run.document("training.json")
    # The fault is there from step 0 on, and has to be seen twice.
    assert rules["stopped_by"]["rule"] == "AllZero"
    assert (rules["stopped_by"]["step"], rules["stopped_by"]["epoch"]) == (1, 1)
    assert (summary["stopped"], summary["stopped_by"]) == ("rule", rules["stopped_by"])
    assert run.rules()["AllZero"]["action"] == "stop"
    assert run.rules()["DeadRelu"]["status"] == "NotApplicable"
    assert run.verdict()["rule"] == "AllZero"
    assert run.verdict()["sentence"].startswith("The rule AllZero stopped the training at step 1 ")
    assert not (run.root / "model/model.safetensors").exists()
    assert not list((run.root / "checkpoints").iterdir())


def test_planted_faults_stop_at_their_step_and_the_best_epoch_is_delivered(
    tmp_path: Path,
) -> None:
    channels = make_data(tmp_path / "data")
    run = train(tmp_path / "job", channels, Falling, rules="ExplodingTensor=stop")
    assert run.exit_code == 0, run.failure
    stopped = run.document("training.json")["stopped_by"]
    assert (stopped["rule"], stopped["step"], stopped["epoch"]) == ("ExplodingTensor", 8, 2)
    summary = run.document("training.json")
    assert (summary["epochs_run"], summary["best_epoch"]) == (1, 1)
    card = ModelCard.from_json((run.root / "model/model.json").read_text(encoding="utf-8"))
    assert card.metrics["test:accuracy"] == run.document("evaluation.json")["accuracy"]
    assert "stopped by a rule; the model of epoch 1 is delivered" in run.printed
    assert run.verdict()["rule"] == "ExplodingTensor"


def test_planted_faults_only_warn_unless_told_to_stop(tmp_path: Path) -> None:
    run = train(tmp_path / "job", make_data(tmp_path / "data"), Falling)
    summary = run.document("training.json")
    assert (summary["stopped"], summary["stopped_by"]) == ("diverged", None)
    assert (
        "the training loss is nan since step 3 of epoch 2: lower the learning rate" in run.printed
    )
    assert run.rules()["ExplodingTensor"]["marks"][0]["step"] == 8


def test_a_validation_loss_that_is_no_number_is_not_called_the_training_loss(
    tmp_path: Path,
) -> None:
    run = train(tmp_path / "job", make_data(tmp_path / "data"), BrokenInEval)
    assert run.failure.startswith("the validation loss is nan in epoch 1: lower the learning rate")


def test_planted_faults_that_end_a_job_leave_their_evidence(runs: Callable[[str], Run]) -> None:
    run = runs("overflow")
    assert run.exit_code == 1
    said = "the training loss is nan since step 1 of epoch 1: lower the learning rate"
    assert run.failure.startswith(said)
    assert run.rules()["ExplodingTensor"]["marks"][0]["step"] == 0
    assert run.verdict()["rule"] == "ExplodingTensor"
