"""Jobs to kill: each with what it comes to, and what of it must not be done a second time."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import safe_open

from sm_entrypoints.search import main as search
from sm_entrypoints.train import main as train
from tests.sm_entrypoints.search_outputs import document, metrics

GENERATION = 2
_PLAN: dict[str, Any] = {
    "trials": 3 * GENERATION,
    "generation": GENERATION,
    "seed": 1,
    "max_epochs": 2,
    "ranges": {
        "lr": {"type": "continuous", "min": 1e-3, "max": 1e-1, "scaling": "Logarithmic"},
        "batch_size": {"type": "categorical", "values": [4, 8]},
    },
}
_FIXED = ("--model", "mobilenet_v2", "--image_size", "32", "--threads", "1")
_TRAINED = ("--epochs", "3", "--batch_size", "8", "--lr", "0.01", "--precision", "float32")

Act = Callable[[Mapping[str, str], str], int]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A kind of job.

    Attributes:
        act: run it, with its variables and its job's name; returns the exit code.
        found: all that it came to, but for its seconds and its name.
        kept: what its checkpoints hold when it is killed.
        lost: what of that the next attempt did not use, from its folder and what it printed.
        steps: it is asked to stop after each of so many steps, too.
    """

    name: str
    act: Act
    found: Callable[[Path], Mapping[str, Any]]
    kept: Callable[[Path], Any]
    lost: Callable[[Path, str, Any], Sequence[str]]
    steps: int = 0


def _search(variables: Mapping[str, str], job: str) -> int:
    plan = _PLAN if job == "job" else {**_PLAN, "continues": ["job"]}
    return search(["--search", json.dumps(plan), *_FIXED], variables)


def _searched(folder: Path) -> dict[str, Any]:
    summary = document(folder, "search.json")
    members = ("trial", "epoch", "objective", "tuned", "hyperparameters", "metrics")
    objective = "FinalHyperParameterTuningJobObjectiveMetric"
    return {
        "best": {name: summary["best"][name] for name in members},
        "epochs": summary["epochs"],
        "trials": [
            [each["TrainingJobStatus"], each["TunedHyperParameters"], each[objective]]
            for each in document(folder, "trials.json")
        ],
        "metrics of the trials": metrics(folder),
        **_delivered(folder),
    }


def _kept_by_search(checkpoints: Path) -> tuple[int, int]:
    """Return how many generations have ended, and how many pictures have kept features."""
    generations = len(list(checkpoints.rglob("generation-*.json")))
    return generations, sum(map(_rows, checkpoints.rglob("features-*.safetensors")))


def _rows(file: Path) -> int:
    with safe_open(file, framework="pt") as opened:
        return int(opened.get_slice("pictures").get_shape()[0])


def _searched_twice(folder: Path, _printed: str, kept: tuple[int, int]) -> list[str]:
    (generations, pictures), summary, problems = kept, document(folder, "search.json"), []
    used, resumed = summary["features"]["kept"], summary["resumed_trials"]
    if used != pictures:
        problems.append(f"I1 the features of {pictures} pictures were kept, and {used} used")
    if resumed != generations * GENERATION:
        problems.append(f"I1 {generations} generations had ended, and {resumed} trials were kept")
    return problems


def _train(learn: Sequence[str], variables: Mapping[str, str], _job: str) -> int:
    return train([*_FIXED, *_TRAINED, *learn], variables)


def _trained(folder: Path) -> dict[str, Any]:
    files = sorted((folder / "checkpoints").rglob("checkpoint-*.safetensors"))
    return {
        **_delivered(folder),
        "checkpoints": [file.name for file in files],
        "state": _state(files[-1]),
    }


def _delivered(folder: Path) -> dict[str, Any]:
    """Return what both deliver: each file as it is, but for the seconds."""
    output = folder / "output/data"
    lines = (output / "metrics.jsonl").read_text("utf-8").splitlines()
    return {
        "metrics": [{k: v for k, v in json.loads(x).items() if k != "seconds"} for x in lines],
        "evaluation": _without_seconds(output / "evaluation.json"),
        "predictions": (output / "predictions.csv").read_text("utf-8"),
        "weights": (folder / "model/model.safetensors").read_bytes(),
        "card": (folder / "model/model.json").read_text("utf-8"),
    }


def _without_seconds(file: Path) -> dict[str, Any]:
    return {k: v for k, v in json.loads(file.read_text("utf-8")).items() if "second" not in k}


def _state(file: Path) -> dict[str, bytes]:
    """Return the tensors of a checkpoint: weights, optimiser, random state."""
    with safe_open(file, framework="pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    return {name: tensor.numpy().tobytes() for name, tensor in tensors.items()}


def _kept_by_training(checkpoints: Path) -> tuple[int, int]:
    """Return how many epochs, and batches of the next, the newest checkpoint is of."""
    names = sorted(path.stem for path in checkpoints.rglob("checkpoint-*.safetensors"))
    epochs, batches = names[-1].split("-")[1:] if names else ("0", "0")
    return int(epochs), int(batches)


def _trained_twice(_folder: Path, printed: str, kept: tuple[int, int]) -> list[str]:
    if kept > (0, 0) and "resumed after" not in printed:
        return [f"I1 the checkpoint of epoch {kept[0]}, batch {kept[1]} was not used"]
    return []


CASES = (
    Case(
        name="packed search",
        act=_search,
        found=_searched,
        kept=_kept_by_search,
        lost=_searched_twice,
    ),
    *(
        Case(
            name=name,
            act=partial(_train, ("--augmentation", "standard", *learn)),
            found=_trained,
            kept=_kept_by_training,
            lost=_trained_twice,
            steps=steps,
        )
        for name, steps, learn in (
            ("head", 9, ("--trainable", "head")),
            ("fine-tune", 9, ("--trainable", "all", "--optimizer", "sgd")),
        )
    ),
)
