"""Real, tiny trainings for faults to be planted in: train.py's own way from argv to its files.

A fault is planted by a hyperparameter, by the data, by the weights channel, or by the network:
:class:`Tiny` (or a subclass) is registered with torchvision for the time of one training.
"""

from __future__ import annotations

import contextlib
import io
import json
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import _api

from sm_entrypoints.contract import INSTRUMENTATION_FOLDER, RULES_FILE, VERDICT_FILE
from sm_entrypoints.instrumentation.tensors import stride as sampling
from sm_entrypoints.rules.evidence import Evidence
from sm_entrypoints.rules.reading import read_evidence
from sm_entrypoints.rules.result import RuleResult
from sm_entrypoints.rules.rule import Rule
from sm_entrypoints.train import main
from tests.sm_entrypoints.pictures import CLASSES, draw, job_variables, make_split

TINY = "planted_tiny"
FAST = {
    "model": TINY,
    "image_size": "32",
    "batch_size": "12",
    "precision": "float32",
    "threads": "1",
    "num_workers": "0",
    "schedule": "constant",
    "optimizer": "adam",
    "weight_decay": "0",
    "lr": "0.01",
    "epochs": "3",
    "instrumentation": "on",
}


class Tiny(nn.Module):
    """Two convolutions and a linear head, about 2,000 parameters, for images of 32 pixels."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.relu2 = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(2)
        self.fc = nn.Linear(64, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return the class scores of a batch of images."""
        return self.fc(self.pool(self.features(images)).flatten(1))

    def features(self, images: Tensor) -> Tensor:
        """Return what is pooled; subclasses plant their faults here."""
        return self.relu2(self.conv2(self.relu1(self.conv1(images))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one training left behind."""

    root: Path
    exit_code: int
    printed: str

    @property
    def output(self) -> Path:
        """What becomes output.tar.gz."""
        return self.root / "output/data"

    @property
    def failure(self) -> str:
        """The failure file's text; empty without one."""
        file = self.root / "output/failure"
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def document(self, name: str) -> Any:
        """Return a JSON file of the output folder."""
        return json.loads((self.output / name).read_text(encoding="utf-8"))

    def evidence(self) -> Evidence:
        """Return what the rules look at, read from the files."""
        return read_evidence(self.output)

    def judge(self, rule: Rule, **parameters: Any) -> RuleResult:
        """Evaluate one rule on the files, with some of its parameters changed."""
        return rule.evaluate(self.evidence(), {**rule.parameters, **parameters})

    def rules(self) -> dict[str, dict[str, Any]]:
        """Return the results in ``rules.json`` by the rules' names."""
        return {
            result["rule"]: result
            for result in self.document(f"{INSTRUMENTATION_FOLDER}/{RULES_FILE}")["rules"]
        }

    def verdict(self) -> dict[str, Any]:
        """Return ``verdict.json``."""
        document: dict[str, Any] = self.document(f"{INSTRUMENTATION_FOLDER}/{VERDICT_FILE}")
        return document


@contextlib.contextmanager
def registered(network: Callable[..., nn.Module]) -> Iterator[None]:
    """Let torchvision build ``network`` under the name ``TINY`` inside the block."""

    def build(*, weights: None, num_classes: int) -> nn.Module:
        return network(num_classes=num_classes)

    build.__module__ = "torchvision.models.planted"
    _api.BUILTIN_MODELS[TINY] = build
    try:
        yield
    finally:
        del _api.BUILTIN_MODELS[TINY]


@contextlib.contextmanager
def _each_epoch_sampled() -> Iterator[None]:
    """Let the tensors of each epoch's first step be looked at, however busy the machine is.

    How many steps are sampled follows what a sample costs, in seconds of this machine.
    """
    allowed = sampling.ALLOWANCE_SECONDS
    sampling.ALLOWANCE_SECONDS = 600.0
    try:
        yield
    finally:
        sampling.ALLOWANCE_SECONDS = allowed


@contextlib.contextmanager
def _own_signals_and_threads() -> Iterator[None]:
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, handler)
        torch.set_num_threads(threads)


def train(
    root: Path,
    channels: Mapping[str, Path],
    network: Callable[..., nn.Module] = Tiny,
    **hyperparameters: object,
) -> Run:
    """Train in this process, instrumented, in the job folder ``root``; failing is no error."""
    variables = job_variables(root, dict(channels))
    argv = [f"--{name}={value}" for name, value in {**FAST, **hyperparameters}.items()]
    printed = io.StringIO()
    with (
        registered(network),
        _own_signals_and_threads(),
        _each_epoch_sampled(),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
    ):
        exit_code = main(argv, variables)
    return Run(root=root, exit_code=exit_code, printed=printed.getvalue())


def make_data(root: Path, *, train: int = 24, valid: int = 12, test: int = 12) -> dict[str, Path]:
    """Write three splits of three classes that :class:`Tiny` tells apart; counts are per class."""
    counts = {"train": train, "valid": valid, "test": test}
    return {
        name: make_split(root / name, count, seed=seed)
        for seed, (name, count) in enumerate(counts.items())
    }


def shuffle_labels(
    root: Path, *, train: int = 24, valid: int = 12, test: int = 12
) -> dict[str, Path]:
    """Write three splits whose labels have nothing to do with the pictures."""
    random, folders = np.random.default_rng(3), {}
    for split, count in (("train", train), ("valid", valid), ("test", test)):
        folders[split] = root / split
        for name in CLASSES:
            (root / split / name).mkdir(parents=True)
            for index in range(count):
                picture = draw(int(random.integers(len(CLASSES))), random)
                picture.save(root / split / name / f"{index:03d}.jpg", "JPEG")
    return folders


def one_rare_class(root: Path) -> dict[str, Path]:
    """Write three splits whose last class has one image where the others have 20 of them."""
    folders = make_data(root, train=60)
    rare = folders["train"] / CLASSES[-1]
    for path in sorted(rare.iterdir())[3:]:
        path.unlink()
    return folders


def weights_channel(
    folder: Path,
    change: Callable[[dict[str, Tensor]], None] = lambda tensors: None,
    *,
    network: Callable[..., nn.Module] = Tiny,
    metadata: Mapping[str, str] | None = None,
) -> Path:
    """Write a weights channel: a fresh network's tensors as ``change`` leaves them."""
    torch.manual_seed(0)
    tensors = {k: v.clone() for k, v in network(num_classes=len(CLASSES)).state_dict().items()}
    change(tensors)
    folder.mkdir(parents=True)
    save_file(tensors, folder / "weights.safetensors", metadata=dict(metadata or {}))
    return folder
