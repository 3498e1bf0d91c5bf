"""Small pictures, random weights, and trainings of single heads to compare packed ones with."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.features.backbone import Built
from sm_entrypoints.images.batches import TensorData
from sm_entrypoints.images.channels import Splits, read_splits
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.job.processes import StopRequest
from sm_entrypoints.models.model import build_model, head_name
from sm_entrypoints.searching.first_heads import FirstHeads
from sm_entrypoints.searching.generation import Generation
from sm_entrypoints.searching.shared_features import SharedFeatures
from sm_entrypoints.searching.trial import Trial
from sm_entrypoints.training.loop import fit
from sm_entrypoints.training.preparation import Prepared, build, prepare
from sm_entrypoints.training.state import Feed, Outcome
from tests.sm_entrypoints.pictures import make_split

CLASSES = tuple("abcdefg")
SAMPLES = 42
STOP = StopRequest()
TRIALS: list[dict[str, Any]] = [
    {"batch_size": 4},
    {"batch_size": 4, "optimizer": "adam", "lr": 0.003, "weight_decay": 0.1, "seed": 3},
    {"batch_size": 4, "optimizer": "sgd", "label_smoothing": 0.2, "schedule": "onecycle"},
    {"batch_size": 4, "lr": 0.03, "eps": 1e-3, "epochs": 2, "warmup_epochs": 0.5},
    {"batch_size": 5, "optimizer": "sgd", "momentum": 0.0, "schedule": "constant", "seed": 3},
    {"batch_size": 1, "schedule": "step", "epochs": 2},
    {"batch_size": 64, "optimizer": "adam", "patience": 1, "epochs": 5, "lr": 0.5},
]
MEASURED = ("loss", "accuracy", "top5_accuracy", "samples", "learning_rate")


def write_weights(
    folder: Path, model: str, *, image_size: int, without: Iterable[str] = (), head: bool = False
) -> Path:
    """Write random weights of a network, without some layers, and with its head or without."""
    torch.manual_seed(5)
    network = build_model(model, len(CLASSES), image_size=image_size)
    left_out = [*without, *([] if head else [head_name(network)])]
    state: dict[str, Tensor] = {
        name: value.clone()
        for name, value in network.state_dict().items()
        if not any(name.startswith(f"{layer}.") for layer in left_out)
    }
    folder.mkdir(parents=True)
    save_file(state, folder / "weights.safetensors")
    return folder


@dataclass(frozen=True)
class World:
    """A job whose features are made up; ``base`` are the hyperparameters of all trials."""

    environment: Environment
    splits: Splits
    base: Mapping[str, Any]
    prepared: Prepared
    train: Feed
    valid: Feed

    def arguments(self, **changed: Any) -> TrainingArguments:
        """Return those of a trial."""
        return TrainingArguments(**{**self.base, **changed})

    def alone(self, arguments: TrainingArguments) -> Outcome:
        """Train one head as train.py does."""
        like = self.prepared
        training = prepare(arguments, self.environment, self.splits, STOP, like=like).training
        data = copy.copy(self.train.data)
        data.seed = arguments.seed
        return fit(replace(training, train=replace(self.train, data=data), valid=self.valid))

    def packed(self, arguments: Sequence[TrainingArguments], **options: Any) -> list[Trial]:
        """Train many heads together."""
        trials = [
            Trial(number=number, texts={}, arguments=each) for number, each in enumerate(arguments)
        ]
        built = build(self.arguments(), self.environment, self.splits)
        shared = self.shared(built)
        first = FirstHeads(built, shared.plan, self.arguments().seed)
        given: dict[str, Any] = {"pruning": "off", "stopped": lambda: False, **options}
        Generation(trials, shared=shared, first=first, **given).run(lambda _: None)
        return trials

    def shared(self, built: Built) -> SharedFeatures:
        """Return what the trials read."""
        assert isinstance(self.train.data, TensorData)
        assert isinstance(self.valid.data, TensorData)
        compute = self.prepared.training.compute
        return SharedFeatures.of(built.model, self.train.data, self.valid.data, compute)


def make_world(
    root: Path, model: str, *, image_size: int = 64, views: int = 0, **weights: Any
) -> World:
    """Make up features of seven classes, of the shape that a network's are."""
    channels = {
        name: make_split(root / name, 1, classes=CLASSES, seed=seed)
        for seed, name in enumerate(("train", "valid"))
    }
    given = write_weights(root / "weights", model, image_size=image_size, **weights)
    environment = Environment(
        channels={**channels, "weights": given},
        output_data_dir=root / "output/data",
        checkpoint_dir=root / "none",
        config_dir=root / "config",
    )
    splits = read_splits(environment.channels)
    base: dict[str, Any] = {
        "model": model,
        "image_size": image_size,
        "num_workers": 0,
        "lr": 0.01,
        "epochs": 3,
    }
    base |= {"cache_features": "true", "threads": 1}
    torch.set_num_threads(1)
    prepared = prepare(TrainingArguments(**base), environment, splits, STOP)
    feed = prepared.training.train
    assert isinstance(feed.data, TensorData)
    shape = feed.data.inputs.shape[1:]
    random = torch.Generator().manual_seed(9)
    centres = torch.rand((len(CLASSES), *shape), generator=random)
    train, valid = (
        replace(feed, data=_made_up(count, centres, random, versions=versions))
        for count, versions in ((SAMPLES, 1 + views), (SAMPLES // 2, 1))
    )
    return World(environment, splits, base, prepared, train, valid)


def _made_up(count: int, centres: Tensor, random: torch.Generator, *, versions: int) -> TensorData:
    labels = torch.randint(0, len(centres), (count,), generator=random)
    noise = torch.randn((count, versions, *centres.shape[1:]), generator=random)
    inputs = (centres[labels][:, None] + noise).relu()
    views = versions - 1
    return TensorData(inputs if views else inputs[:, 0], labels, views=views)


def assert_equal(world: World, changes: list[dict[str, Any]]) -> None:
    """Check that packed trials are the trainings alone, in every epoch, and that all completed."""
    arguments = [world.arguments(**change) for change in changes]
    trials = world.packed(arguments)
    for trial, each in zip(trials, arguments, strict=True):
        progress = world.alone(each).progress
        assert len(trial.history) == len(progress.history) > 0
        for mine, theirs in zip(trial.history, progress.history, strict=True):
            assert (mine["epoch"], mine["split"]) == (theirs["epoch"], theirs["split"])
            for name in MEASURED:
                wanted = theirs[name]
                near = None if wanted is None else pytest.approx(wanted, rel=1e-5, abs=1e-5)
                assert mine[name] == near, (each, mine)
        assert trial.best_epoch == progress.best_epoch
        assert trial.status == "Completed"
