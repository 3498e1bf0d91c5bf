"""Made-up evidence for rules and verdicts: a healthy job, changed where a test says so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sm_entrypoints.rules.catalogue import RULES
from sm_entrypoints.rules.evidence import Evidence, Series
from sm_entrypoints.rules.result import Mark, RuleResult

START = 1_700_000_000.0
BY_NAME = {rule.name: rule for rule in RULES}
_PHASES = ("data_wait", "transfer", "forward", "backward", "optimizer")
HEALTHY_STEP = (0.001, 0.001, 0.03, 0.06, 0.002)
# A step of the head alone, on features that were kept.
TAIL_STEP = (0.0004, 0.0, 0.0003, 0.0003, 0.0002)


def steps(
    *,
    epochs: int = 4,
    per_epoch: int = 20,
    phases: Sequence[float] = HEALTHY_STEP,
    samples: Callable[[int], int] = lambda index: 32,
    features_from: int | None = None,
    change: Callable[[dict[str, Any], int], None] = lambda columns, total: None,
) -> dict[str, Any]:
    """Return columns of steps.csv: ``epochs`` of TRAIN steps, each followed by two EVAL steps.

    From the epoch ``features_from`` on they run the tail alone.
    """
    rows = [
        (epoch, mode, index)
        for epoch in range(1, epochs + 1)
        for mode, count in (("TRAIN", per_epoch), ("EVAL", 2))
        for index in range(count)
    ]
    train = np.array([mode == "TRAIN" for _, mode, _ in rows])
    columns: dict[str, Any] = {
        "epoch": np.array([float(epoch) for epoch, _, _ in rows]),
        "mode": np.array([mode for _, mode, _ in rows]),
        "step": np.where(train, np.cumsum(train), np.cumsum(~train)) - 1.0,
        "samples": np.array([float(samples(index)) for _, _, index in rows]),
    }
    tail = columns["epoch"] >= (features_from or np.inf)
    columns["network"] = np.where(tail, "tail", "whole")
    for name, seconds, quick in zip(_PHASES, phases, TAIL_STEP, strict=True):
        only_train = name in ("backward", "optimizer")
        columns[name] = np.where(train | (not only_train), np.where(tail, quick, seconds), 0.0)
    change(columns, len(rows))
    seconds = np.sum([columns[name] for name in _PHASES], axis=0)
    columns["started"] = START + np.cumsum(seconds) - seconds
    return columns


def series(
    name: str,
    dimension: str,
    values: Sequence[float] | float,
    *,
    count: int = 40,
    node: str = "algo-1",
) -> Series:
    """Return samples every 0.2 s from the first step on."""
    numbers = np.asarray(np.broadcast_to(values, count), dtype=np.float64).copy()
    times = START + 0.2 * np.arange(count)
    return Series(node=node, dimension=dimension, name=name, timestamps=times, values=numbers)


def epochs_of(
    train: Sequence[float], valid: Sequence[float], accuracies: tuple[float, float] = (0.95, 0.93)
) -> list[dict[str, Any]]:
    """Return the rows of metrics.jsonl for these losses."""
    rows = []
    for epoch, losses in enumerate(zip(train, valid, strict=True), 1):
        for split, loss, accuracy in zip(("train", "valid"), losses, accuracies, strict=True):
            rows.append(
                {
                    "epoch": epoch,
                    "split": split,
                    "loss": loss,
                    "accuracy": accuracy,
                    "samples": 640 if split == "train" else 64,
                    "seconds": 2.0,
                }
            )
    return rows


def job(**changed: Any) -> dict[str, Any]:
    """Return a training.json: four epochs of everything, on a CPU of two cores."""
    arguments = {
        "model": "resnet18",
        "augmentation": "none",
        "batch_size": 32,
        "epochs": 4,
        "lr": 0.001,
        "num_workers": -1,
        "patience": 0,
        "precision": "auto",
        "channels_last": "auto",
        **changed.pop("arguments", {}),
    }
    model = {"trainable": "all", "classes": ["a", "b", "c"], **changed.pop("model", {})}
    return {
        "arguments": arguments,
        "model": model,
        "epochs_run": 4,
        "best_epoch": 4,
        "stopped": None,
        "device": "cpu",
        "threads": 2,
        "processes": 1,
        "cached_features": False,
        "hardware": {"bfloat16": True},
        "seconds": {"start_up": 2.0, "initialization": 1.0, "total": 15.0},
        "process_use": use(busy=0.97),
        **changed,
    }


def use(*, busy: float, waited: float = 0.0, wall: float = 9.0) -> dict[str, float | int]:
    """Return the process's accounts: shares of two cores that it used and waited for."""
    return {
        "wall_seconds": wall,
        "cpu_seconds": 2 * wall * busy,
        "waited_seconds": 2 * wall * waited,
        "involuntary_switches": 12,
    }


def evidence(**changed: Any) -> Evidence:
    """Return a healthy job's evidence with some members replaced."""
    members: dict[str, Any] = {
        "steps": steps(),
        "system": [series("cpu0", "CPUUtilization", 97.0), series("cpu1", "CPUUtilization", 95.0)],
        "epochs": epochs_of([0.8, 0.3, 0.2, 0.19], [0.7, 0.35, 0.3, 0.299]),
        "job": job(),
        "summary": {"workers": 0, "cores": 2},
        "cores": 2,
        **changed,
    }
    return Evidence(**members)


def issue(rule: str, *marks: Mark, **details: Any) -> RuleResult:
    """Return the result of a rule that found something."""
    return RuleResult(rule=rule, status="IssuesFound", triggered=1, details=details, marks=marks)


def results(*found: RuleResult) -> Mapping[str, RuleResult]:
    """Return results by rule, as the verdict takes them."""
    return {result.rule: result for result in found}


def judged(rule: str, facts: Evidence, **parameters: Any) -> RuleResult:
    """Return what a rule of the catalogue finds; ``parameters`` replace its own."""
    found = BY_NAME[rule].evaluate(facts, {**BY_NAME[rule].parameters, **parameters})
    assert found.rule == rule
    return found
