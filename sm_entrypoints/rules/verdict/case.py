"""The numbers of a job that findings need."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from sm_entrypoints.contract import STEP_PHASES, TEST_CHANNEL, TRAIN_CHANNEL, VALID_CHANNEL
from sm_entrypoints.contract.hyperparameters import HYPERPARAMETERS, Bounds
from sm_entrypoints.rules.cpu.system import cpu_demand, on_cpu
from sm_entrypoints.rules.evidence import Evidence
from sm_entrypoints.rules.profiler.timeline import (
    CPU,
    Steps,
    main_steps,
    mean_of,
    series_of,
    steps_of,
)
from sm_entrypoints.rules.result import RuleResult
from sm_entrypoints.rules.verdict.finding import Change, Gain
from sm_entrypoints.rules.verdict.guessing import best_guess, better_than_guessing, guessing_loss

# The least that a change sets: less is not allowed (lr=0), or lets the job choose.
_LEAST = {"lr": 1e-12, "num_workers": 0, "threads": 1}
_MODES = ("TRAIN", "EVAL")
# Seconds that are not worth a promise.
_LEAST_SAVED = 0.01


class Case:
    """A job's evidence and its rules' results, and the numbers that findings ask for."""

    def __init__(self, evidence: Evidence, results: Mapping[str, RuleResult]) -> None:
        self.evidence = evidence
        self.results = results

    @cached_property
    def triggered(self) -> frozenset[str]:
        """The rules that found something, ours and SageMaker's."""
        ours = {name for name, result in self.results.items() if result.status == "IssuesFound"}
        return frozenset(ours | {rule.rule for rule in self.evidence.theirs if rule.triggered})

    def issue(self, rule: str) -> RuleResult | None:
        """Return a rule's result when it found something."""
        result = self.results.get(rule)
        return result if result is not None and result.status == "IssuesFound" else None

    @cached_property
    def arguments(self) -> Mapping[str, Any]:
        """The hyperparameters; empty for a job that is not train.py's."""
        return self.evidence.job.get("arguments") or {}

    @cached_property
    def ours(self) -> bool:
        """Whether train.py ran, so that a change can name its hyperparameters."""
        return bool(self.arguments)

    @cached_property
    def cores(self) -> int:
        """Logical cores; 0 when unknown."""
        return self.evidence.cores

    @cached_property
    def workers(self) -> int:
        """Loader processes of the training split."""
        told = self.evidence.summary.get("workers")
        return int(told if told is not None else max(0, self.arguments.get("num_workers", 0)))

    @cached_property
    def on_cpu(self) -> bool:
        """Whether the network ran on the CPU."""
        return on_cpu(self.evidence)

    @cached_property
    def frozen(self) -> bool:
        """Whether only the head learns."""
        return bool((self.evidence.job.get("model") or {}).get("trainable") == "head")

    @cached_property
    def random_start(self) -> bool:
        """Whether train.py started without given weights."""
        fingerprints = (self.evidence.job.get("model") or {}).get("fingerprints")
        return fingerprints is not None and "weights" not in fingerprints

    @cached_property
    def phases(self) -> dict[str, dict[str, float]]:
        """Seconds by mode and phase, over all steps."""
        return _phases({mode: steps_of(self.evidence, mode) for mode in _MODES})

    @cached_property
    def main_phases(self) -> dict[str, dict[str, float]]:
        """Seconds by mode and phase, over the steps by which speed is judged."""
        return _phases({mode: main_steps(self.evidence, mode) for mode in _MODES})

    @cached_property
    def loop_seconds(self) -> float:
        """Seconds of all steps, of training and of validation."""
        return sum(sum(phases.values()) for phases in self.phases.values())

    @cached_property
    def train_seconds(self) -> float:
        """Seconds of the training steps."""
        return sum(self.phases["TRAIN"].values())

    @cached_property
    def main_seconds(self) -> float:
        """Seconds of the training steps by which speed is judged."""
        return sum(self.main_phases["TRAIN"].values())

    @cached_property
    def seconds(self) -> float:
        """Seconds of the whole job, at least those of its steps."""
        told = (self.evidence.job.get("seconds") or {}).get("total") or 0.0
        return max(float(told), self.loop_seconds)

    @cached_property
    def demand(self) -> float | None:
        """The share of the cores that training used or waited for; of the machine if need be."""
        own = cpu_demand(self.evidence)
        if own is not None:
            return own
        use = mean_of(series_of(self.evidence, CPU))
        return float(use.mean()) / 100 if len(use) else None

    @cached_property
    def epochs_run(self) -> int:
        """Complete epochs."""
        return int(self.evidence.job.get("epochs_run") or len(self.values(TRAIN_CHANNEL, "loss")))

    def values(self, split: str, name: str) -> list[float]:
        """Return a metric of a split by epoch, as far as it is finite."""
        rows = [row for row in self.evidence.epochs if row.get("split") == split]
        column = [row.get(name) for row in rows]
        return [
            value for value in column if isinstance(value, int | float) and math.isfinite(value)
        ]

    def images(self, *splits: str) -> int:
        """Return how many images the splits of an epoch have."""
        counts = [self.values(split, "samples") for split in splits]
        return int(sum(values[-1] for values in counts if values))

    @cached_property
    def classes(self) -> int:
        """The number of classes; 0 if unknown."""
        named = (self.evidence.job.get("model") or {}).get("classes")
        return len(named or self.evidence.class_counts)

    @cached_property
    def chance(self) -> float | None:
        """The loss of a model that knows how frequent the classes are, and nothing else.

        None when the classes are unknown, or there is one only.
        """
        return guessing_loss(self.evidence.class_counts, self.classes)

    @cached_property
    def fresh(self) -> float | None:
        """The loss that a network begins with, which takes all classes for equally frequent."""
        return math.log(self.classes) if self.classes > 1 else None

    def guess(self, split: str) -> float | None:
        """Return the share of a split that naming the most frequent class gets right."""
        counts = self.evidence.class_counts
        if split == VALID_CHANNEL:
            counts = self.evidence.job.get("class_counts_valid") or counts
        if split == TEST_CHANNEL:
            rows = (self.evidence.evaluation or {}).get("per_class") or []
            counts = {row["label"]: row["support"] for row in rows if row.get("support")} or counts
        return best_guess(counts, self.classes)

    def right(self, split: str) -> tuple[float, int] | None:
        """Return the delivered model's share of right answers in a split, and its pictures."""
        if split == TEST_CHANNEL:
            told = self.evidence.evaluation or {}
            scores = (told.get("accuracy"), told.get("samples"))
        else:
            rows = [row for row in self.evidence.epochs if row.get("split") == split]
            best = self.evidence.job.get("best_epoch")
            row = next((row for row in rows if row.get("epoch") == best), (rows or [{}])[-1])
            scores = (row.get("accuracy"), row.get("samples"))
        if not all(isinstance(value, int | float) and math.isfinite(value) for value in scores):
            return None
        return float(scores[0]), int(scores[1])  # type: ignore[arg-type]

    def beats_guessing(self, *splits: str) -> bool | None:
        """Say whether the model is better than guessing in the splits; None if unknown."""
        told = set()
        for split in splits:
            right, guess = self.right(split), self.guess(split)
            if right is not None and guess is not None:
                told.add(better_than_guessing(*right, guess))
        return (False not in told) if told - {None} and not told >= {True, False} else None

    @cached_property
    def learned_for_others(self) -> bool | None:
        """Whether the model is better than guessing on pictures that it was not trained with."""
        return self.beats_guessing(VALID_CHANNEL, TEST_CHANNEL)

    @cached_property
    def knows_something(self) -> bool:
        """Whether the model is better than guessing on the pictures of any split."""
        splits = (TRAIN_CHANNEL, VALID_CHANNEL, TEST_CHANNEL)
        return any(self.beats_guessing(split) is True for split in splits)

    @cached_property
    def train_losses(self) -> list[tuple[int, float]]:
        """Training losses by step, else by epoch, as recorded: NaN stands for a missing number.

        An epoch is so many steps as it is recorded; a step counts from 0, an epoch from 1.
        """
        records = [
            (each.step, each.mean if each.mean is not None else math.nan)
            for each in self.evidence.records
            if each.collection == "losses" and each.mode == "TRAIN"
        ]
        rows = [row for row in self.evidence.epochs if row.get("split") == TRAIN_CHANNEL]
        return records or [
            (int(row.get("epoch") or 0), _number(row.get("loss"))) for row in rows if "loss" in row
        ]

    @cached_property
    def steps_seen(self) -> int:
        """How many training steps were recorded in any way."""
        table = len(steps_of(self.evidence, "TRAIN"))
        losses = sum(
            each.collection == "losses" and each.mode == "TRAIN" for each in self.evidence.records
        )
        return max(table, losses)

    @cached_property
    def learned(self) -> bool | None:
        """Whether the training loss got clearly below chance, None if unknown."""
        return self._below_chance(TRAIN_CHANNEL, 0.9)

    @cached_property
    def generalised(self) -> bool | None:
        """Whether the validation loss got clearly below chance."""
        return self._below_chance(VALID_CHANNEL, 0.95)

    def _below_chance(self, split: str, share: float) -> bool | None:
        losses = self.values(split, "loss")
        if not losses or self.chance is None:
            return None
        return min(losses) < share * self.chance

    def speed(self, saved: float, reasoning: str) -> Gain:
        """Return the gain of a change that saves ``saved`` seconds of this job."""
        left = self.seconds - saved
        if saved < _LEAST_SAVED or left <= 0:
            return Gain(reasoning=reasoning)
        factor = round(self.seconds / left, 2)
        return Gain(kind="speed", factor=factor, seconds=round(saved, 2), reasoning=reasoning)

    def set(self, **change: int | float | str) -> Change | None:
        """Return the change, or None for a job whose hyperparameters are not train.py's.

        Only what the next job takes: numbers within train.py's bounds, and no features of images
        or backbones that change.
        """
        if not self.ours:
            return None
        kept = {
            name: value if isinstance(value, str) else _within_bounds(name, value)
            for name, value in change.items()
        }
        views = kept.get("views") or self.arguments.get("views")
        changing = kept.get("augmentation", "none") != "none" and not views
        moves = changing or kept.get("trainable") == "all"
        if moves and self.arguments.get("cache_features") == "true":
            kept["cache_features"] = "auto"
        # What stands at its bound cannot be changed any further.
        new = any(self.arguments.get(name) != value for name, value in kept.items())
        return kept if new else None


def _phases(modes: Mapping[str, Steps]) -> dict[str, dict[str, float]]:
    return {
        mode: {phase: float(steps.phases[phase].sum()) for phase in STEP_PHASES}
        for mode, steps in modes.items()
    }


def _within_bounds(name: str, value: float) -> float:
    bounds = HYPERPARAMETERS[name].domain
    if not isinstance(bounds, Bounds):
        return value
    return min(max(value, _LEAST.get(name, bounds.low)), bounds.high)


def _number(value: object) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else math.nan  # type: ignore[arg-type]
