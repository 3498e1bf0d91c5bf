"""What a verdict is made of: a job's numbers at hand, and findings that compete to be it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import IntEnum
from functools import cached_property
from typing import Any, Literal

from sm_entrypoints.contract import STEP_PHASES, TRAIN_CHANNEL, VALID_CHANNEL
from sm_entrypoints.rules.cpu_system import cpu_demand, on_cpu
from sm_entrypoints.rules.evidence import Evidence
from sm_entrypoints.rules.profiler_timeline import CPU, mean_of, series_of, steps_of
from sm_entrypoints.rules.result import RuleResult

Severity = Literal["error", "warning", "ok"]
Change = Mapping[str, int | float | str]


class Group(IntEnum):
    """What comes first when several things are wrong."""

    BROKEN = 0
    NOT_LEARNING = 1
    DATA = 2
    MEMORY = 3
    TIME = 4
    QUALITY = 5
    NOTE = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What a change should bring. ``factor``: how many times as fast the whole job.

    ``seconds``: what this very job would have taken less. None where nothing is known.
    """

    kind: Literal["speed", "quality", "none"] = "none"
    factor: float | None = None
    seconds: float | None = None
    reasoning: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that holds the training back.

    ``change`` holds hyperparameters of train.py, ready to be passed; ``worth`` ranks findings of
    one group (in TIME: seconds of this job at most).
    """

    group: Group
    severity: Severity
    sentence: str
    rule: str | None
    evidence: tuple[str, ...]
    advice: str
    change: Change | None = None
    gain: Gain = field(default_factory=Gain)
    worth: float = 0.0

    def document(self) -> dict[str, Any]:
        """Return the members of ``verdict.json`` but ``others``."""
        return {
            "sentence": self.sentence,
            "severity": self.severity,
            "rule": self.rule,
            "evidence": list(self.evidence),
            "change": None if self.change is None else dict(self.change),
            "advice": self.advice,
            "expected_gain": asdict(self.gain),
        }


class Case:
    """A job's evidence and its rules' results, and the numbers that findings ask for."""

    def __init__(self, evidence: Evidence, results: Mapping[str, RuleResult]) -> None:
        self.evidence = evidence
        self.results = results

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
        modes = {mode: steps_of(self.evidence, mode) for mode in ("TRAIN", "EVAL")}
        return {
            mode: {phase: float(steps.phases[phase].sum()) for phase in STEP_PHASES}
            for mode, steps in modes.items()
        }

    @cached_property
    def loop_seconds(self) -> float:
        """Seconds of all steps, of training and of validation."""
        return sum(sum(phases.values()) for phases in self.phases.values())

    @cached_property
    def train_seconds(self) -> float:
        """Seconds of the training steps."""
        return sum(self.phases["TRAIN"].values())

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
        found = [row.get(name) for row in rows]
        return [value for value in found if isinstance(value, int | float) and math.isfinite(value)]

    def images(self, *splits: str) -> int:
        """Return how many images the splits of an epoch have."""
        counts = [self.values(split, "samples") for split in splits]
        return int(sum(values[-1] for values in counts if values))

    @cached_property
    def chance(self) -> float | None:
        """The loss of a model that knows nothing, ln(classes); None when those are unknown."""
        classes = (self.evidence.job.get("model") or {}).get("classes")
        count = len(classes or self.evidence.class_counts)
        return math.log(count) if count > 1 else None

    @cached_property
    def learned(self) -> bool | None:
        """Whether the training loss got clearly below chance, None when that cannot be told."""
        losses = self.values(TRAIN_CHANNEL, "loss")
        if not losses or self.chance is None:
            return None
        return min(losses) < 0.9 * self.chance

    @cached_property
    def generalised(self) -> bool | None:
        """Whether the validation loss got clearly below chance."""
        losses = self.values(VALID_CHANNEL, "loss")
        if not losses or self.chance is None:
            return None
        return min(losses) < 0.95 * self.chance

    def speed(self, saved: float, reasoning: str) -> Gain:
        """Return the gain of a change that saves ``saved`` seconds of this job."""
        factor = self.seconds / max(self.seconds - saved, 1e-9) if self.seconds else None
        rounded = None if factor is None else round(factor, 2)
        return Gain(kind="speed", factor=rounded, seconds=round(saved, 2), reasoning=reasoning)

    def set(self, **change: int | float | str) -> Change | None:
        """Return the change, or None for a job whose hyperparameters are not train.py's."""
        return change if self.ours else None


def percent(share: float) -> str:
    """Return a share (0 to 1) as people read it."""
    return f"{100 * share:.0f} %"


def duration(seconds: float) -> str:
    """Return seconds as people read them."""
    if seconds < 0.01:
        return f"{1e3 * seconds:.1f} ms"
    if seconds < 1:
        return f"{1e3 * seconds:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    if seconds < 1_000:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6_000 else f"{seconds / 3600:.1f} h"


def rounded(value: float) -> float:
    """Return a hyperparameter with two significant digits."""
    return float(f"{value:.2g}")
