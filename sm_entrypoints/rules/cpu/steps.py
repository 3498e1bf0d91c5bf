"""Rules that AWS lacks, from the times of steps: waiting for data, and batches that are too small.

They need no GPU: everything is measured from the training's own steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sm_entrypoints.contract import WHOLE_NETWORK
from sm_entrypoints.contract.sentences import counted
from sm_entrypoints.rules.evidence import Evidence
from sm_entrypoints.rules.profiler.timeline import Steps, main_steps, phase_share, steps_of
from sm_entrypoints.rules.result import RuleResult, judged, not_applicable
from sm_entrypoints.rules.rule import Rule

# A last batch this much smaller than the others (or less) shows what an image costs.
_SMALLER = 0.75
_FEWEST_EPOCHS = 3
# Other programs only ever add to a time: a low percentile is nearer to what it costs than the mean.
_QUIET = 20
# Training's forward pass does more for an image than evaluation's: batch normalisation computes
# its statistics, and what backward needs is kept.
_TRAINING_FORWARD, _FROZEN_FORWARD = 1.5, 1.1


def data_wait(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """Training waits for its next batch for more than ``percent`` of a step."""
    if not len(steps_of(evidence, network=WHOLE_NETWORK)) and len(steps_of(evidence)):
        return not_applicable("DataWait", "every step learned from features in memory")
    steps = main_steps(evidence)
    count = int(steps.steady.sum())
    if count < parameters["min_steps"]:
        seen = f"{counted(count, 'step')} besides the first of each epoch"
        reason = f"{seen}; {parameters['min_steps']} needed"
        return not_applicable("DataWait", reason)
    percent = 100 * phase_share(steps, "data_wait")
    waits = steps.phases["data_wait"]
    seconds = float(waits[steps.steady].sum())
    triggered = percent > parameters["percent"] and seconds > parameters["min_seconds"]
    slow = waits > steps.seconds * parameters["percent"] / 100
    return judged(
        "DataWait",
        triggered,
        violations=int((slow & steps.steady).sum()),
        datapoints=count,
        details={
            "percent": percent,
            "wait_seconds": float(waits.sum()),
            "step_seconds": float(steps.seconds.sum()),
            "median_wait_seconds": float(np.median(waits[steps.steady])),
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepCost:
    """What a step of ``batch`` images costs: ``fixed`` seconds, and ``image`` seconds an image.

    ``method`` says what it was estimated from.
    """

    batch: int
    fixed: float
    image: float
    method: str

    def seconds(self, batch: int) -> float:
        """Return the seconds of a step of ``batch`` images."""
        return self.fixed + self.image * batch

    def factor(self, batch: int) -> float:
        """Return how many times as fast training would go through its images."""
        return self.seconds(self.batch) / self.batch * batch / self.seconds(batch)


def step_cost(evidence: Evidence) -> StepCost | None:
    """Estimate the fixed and the per-image cost of a training step; None without two sizes.

    First choice: the last batch of an epoch, when it is smaller than the others, measured against
    the others of the same epoch; a quarter of the epochs may say less than the result, so that
    noise does not make it up. Else: the forward passes of evaluation's larger batches; backward
    is taken to have the same share of fixed cost, and the optimizer none that depends on images.
    """
    steps = main_steps(evidence)
    if not len(steps):
        return None
    full = int(steps.samples.max())
    if full < 1:  # an imported timeline has steps without their images
        return None
    return _from_last_batches(steps, full) or _from_evaluation(evidence, steps, full)


def _work(steps: Steps) -> Any:
    return steps.seconds - steps.phases["data_wait"]


def _from_last_batches(steps: Steps, full: int) -> StepCost | None:
    shares, work = [], _work(steps)
    for epoch in np.unique(steps.epoch):
        here = steps.steady & (steps.epoch == epoch)
        whole, smaller = here & (steps.samples == full), here & (steps.samples <= _SMALLER * full)
        if whole.any() and smaller.any():
            size = float(steps.samples[smaller][-1]) / full
            ratio = float(work[smaller][-1]) / float(np.median(work[whole]))
            shares.append((ratio - size) / (1 - size))
    if len(shares) < _FEWEST_EPOCHS:
        return None
    share = min(1.0, max(0.0, float(np.percentile(shares, 25))))
    seconds = float(np.median(work[steps.steady & (steps.samples == full)]))
    return StepCost(
        batch=full,
        fixed=share * seconds,
        image=(1 - share) * seconds / full,
        method="the smaller last batch of each epoch",
    )


def _from_evaluation(evidence: Evidence, steps: Steps, full: int) -> StepCost | None:
    evaluated = main_steps(evidence, "EVAL")
    chosen = steps.steady & (steps.samples == full)
    if not len(evaluated) or not chosen.any():
        return None
    larger = int(evaluated.samples.max())
    if larger < 2 * full:
        return None
    ours, theirs = (
        float(np.percentile(part.phases["forward"][part.samples == size], _QUIET)) / size
        for part, size in ((steps, full), (evaluated, larger))
    )
    theirs *= _FROZEN_FORWARD if _frozen(evidence) else _TRAINING_FORWARD
    fixed_forward = max(0.0, ours - theirs) * full * larger / (larger - full)
    share = min(1.0, fixed_forward / (ours * full)) if ours > 0 else 0.0
    optimizer = float(np.percentile(steps.phases["optimizer"][chosen], _QUIET))
    rest = float(np.percentile(_work(steps)[chosen], _QUIET)) - optimizer
    return StepCost(
        batch=full,
        fixed=optimizer + share * rest,
        image=(1 - share) * rest / full,
        method=f"evaluation's batches of {larger}",
    )


def _frozen(evidence: Evidence) -> bool:
    return bool((evidence.job.get("model") or {}).get("trainable") == "head")


def batch_size_throughput(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """The fixed cost of a step is more than ``percent`` of it, and a larger batch would pay."""
    steps = main_steps(evidence)
    cost = step_cost(evidence)
    count = int(steps.steady.sum())
    if cost is None or count < parameters["min_steps"]:
        reason = "only one batch size was seen, so the cost per image is unknown"
        return not_applicable("BatchSizeThroughput", reason)
    images = float(steps.samples[steps.epoch == steps.epoch[0]].sum())
    better = _better_batch(cost, images, parameters)
    percent = 100 * cost.fixed / max(cost.seconds(cost.batch), 1e-12)
    factor = cost.factor(better)
    triggered = percent > parameters["percent"] and factor > parameters["min_factor"]
    return judged(
        "BatchSizeThroughput",
        triggered,
        violations=count if triggered else 0,
        datapoints=count,
        details={
            "batch_size": cost.batch,
            "fixed_seconds": cost.fixed,
            "image_seconds": cost.image,
            "fixed_percent": percent,
            "better_batch_size": better,
            "factor": factor,
            "method": cost.method,
        },
    )


def _better_batch(cost: StepCost, images: float, parameters: Mapping[str, Any]) -> int:
    """Return the first doubling of the batch whose fixed cost is below ``target_percent``.

    No more than four times the batch or 64 images, whichever is more, and at least eight steps
    remain to an epoch: learning changes with the batch, and needs steps.
    """
    most = min(max(64, 4 * cost.batch), images / parameters["min_steps_per_epoch"])
    size = cost.batch
    while 2 * size <= most:
        if 100 * cost.fixed <= parameters["target_percent"] * cost.seconds(size):
            break
        size *= 2
    return size


STEP_TIME_RULES: tuple[Rule, ...] = (
    Rule(
        name="DataWait",
        description="Measures how long each training step waits for its images before it can "
        "begin.",
        threshold="Steps wait for more than 10% of their time, and for more than half a second "
        "in total.",
        recommendation="Let loader processes work ahead (num_workers) where cores are idle; make "
        "the images smaller or the augmentation cheaper; keep them in memory.",
        parameters={"percent": 10, "min_seconds": 0.5, "min_steps": 10},
        evaluate=data_wait,
    ),
    Rule(
        name="BatchSizeThroughput",
        description="Estimates the fixed cost of a step, whatever its number of images, from "
        "batches of two sizes in the same run.",
        threshold="The fixed cost is more than 30% of a step, and a larger batch would go "
        "through the images at least 1.2 times as fast.",
        recommendation="Raise batch_size; raise lr with it (by the square root of the factor for "
        "adam, by the factor for sgd).",
        parameters={
            "percent": 30,
            "target_percent": 10,
            "min_factor": 1.2,
            "min_steps": 10,
            "min_steps_per_epoch": 8,
        },
        evaluate=batch_size_throughput,
    ),
)
