"""Rules about a run as a whole: it stood still, or it is the same as another one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sm_entrypoints.contract import STEP_PHASES
from sm_entrypoints.contract.sentences import counted
from sm_entrypoints.contract.tensor_records import TensorRecord
from sm_entrypoints.rules.evidence import Evidence, Numbers
from sm_entrypoints.rules.result import Mark, RuleResult, not_applicable
from sm_entrypoints.rules.rule import Rule
from sm_entrypoints.rules.tensor.job import TensorJob
from sm_entrypoints.rules.tensor.watch import TensorWatch

MOST_GAPS = 10


def stalled_training(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """Look for the time between two steps in which no step was in progress.

    AWS's 1,800 seconds are longer than most fine-tunings. The bound is ``share`` of the time from
    the first step to the last, not less than ``least_seconds`` and not more than AWS's threshold. A
    step that itself takes long is not a stall: StepOutlier covers those.
    """
    steps = evidence.steps
    if not steps or len(steps["started"]) < 2:
        return not_applicable("StalledTrainingRule", "fewer than two steps were timed")
    order = np.argsort(steps["started"], kind="stable")
    started: Numbers = steps["started"][order]
    spent = np.sum([steps[phase][order] for phase in STEP_PHASES], axis=0)
    gaps = started[1:] - started[:-1] - spent[:-1]
    total = float(started[-1] - started[0])
    scaled = max(parameters["least_seconds"], parameters["share"] * total)
    bound = min(parameters["threshold"], scaled)
    stalls = [int(index) for index in np.flatnonzero(gaps > bound)]
    marks = tuple(
        Mark(
            step=int(steps["step"][order[index + 1]]),
            epoch=int(steps["epoch"][order[index + 1]]),
            mode=str(steps["mode"][order[index + 1]]),
            subject="time between steps",
            message=f"nothing happened for {gaps[index]:.1f} s before this step",
        )
        for index in stalls[:MOST_GAPS]
    )
    return RuleResult(
        rule="StalledTrainingRule",
        status="IssuesFound" if stalls else "NoIssuesFound",
        triggered=len(stalls),
        violations=len(stalls),
        datapoints=len(gaps),
        details={"longest_gap_seconds": float(gaps.max())},
        parameters={**parameters, "threshold": bound},
        marks=marks,
    )


class StalledWatch(TensorWatch):
    """The same between the steps of a running training: it reports a stall once the training
    continues. The time runs from loss to loss, including the step itself, so a stall is also 50
    times a usual step. The first ten are not judged.
    """

    rule = "StalledTrainingRule"
    collections = ("losses",)

    def __init__(
        self,
        job: TensorJob,
        parameters: Mapping[str, Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(job, parameters)
        self._clock = clock
        self._start = self._last = clock()

    def _look(self, record: TensorRecord) -> Mark | None:
        now, before = self._clock(), self._last
        usual = (before - self._start) / max(1, self.datapoints - 1)
        self._last = now
        bound = max(self.parameters["least_seconds"], 50 * usual)
        if self.datapoints <= 10 or now - before <= min(self.parameters["threshold"], bound):
            return None
        self.violations += 1
        message = f"no step finished for {now - before:.1f} s before this one"
        return self.trigger(record, message, "time between steps")


def similar_across_runs(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """Compare the losses with those of other runs: step by step the same means the same run.

    Two runs with different seeds differ from the first batch on; equal ones are money spent
    twice, or a hyperparameter that never arrived.
    """
    if not evidence.others:
        return not_applicable("SimilarAcrossRuns", "no other run was given to compare with")
    own = _losses(evidence.records)
    if len(own) < parameters["num_steps"]:
        return not_applicable(
            "SimilarAcrossRuns", f"only {counted(len(own), 'loss was', 'losses were')} recorded"
        )
    same = []
    for number, other in enumerate(evidence.others):
        theirs = _losses(other)
        common = sorted(own.keys() & theirs.keys())
        if len(common) >= parameters["num_steps"] and all(
            math.isclose(own[step], theirs[step], rel_tol=parameters["rtol"]) for step in common
        ):
            same.append((number, len(common)))
    marks = tuple(
        Mark(
            step=0,
            epoch=1,
            mode="TRAIN",
            subject=f"run {number + 1}",
            message=f"the losses of {steps} steps equal those of the other run",
        )
        for number, steps in same
    )
    return RuleResult(
        rule="SimilarAcrossRuns",
        status="IssuesFound" if same else "NoIssuesFound",
        triggered=len(same),
        violations=len(same),
        datapoints=len(evidence.others),
        details={"same": [number + 1 for number, _ in same]},
        marks=marks,
    )


def _losses(records: Sequence[TensorRecord]) -> dict[int, float]:
    return {
        record.step: record.mean
        for record in records
        if record.collection == "losses" and record.mode == "TRAIN" and record.mean is not None
    }


RUN_RULES = (
    Rule(
        name="StalledTrainingRule",
        kind="tensor",
        description="Looks for times in which the job ran but did not train.",
        threshold="The time between two steps exceeds a tenth of the training (at least 10 "
        "seconds, at most half an hour).",
        recommendation="Look at the log around that time: checkpoints to a slow disk, a paused "
        "machine, a lock; the step timeline shows what came before.",
        evaluate=stalled_training,
        parameters={
            "threshold": 1800.0,
            "least_seconds": 10.0,
            "share": 0.1,
        },
    ),
    Rule(
        name="SimilarAcrossRuns",
        kind="tensor",
        description="Compares this run with others, to see whether they differ at all.",
        threshold="The training losses of all common steps, at least three, are equal within 1e-5.",
        recommendation="Change the seed, or check whether the hyperparameter that should "
        "differ has an effect.",
        evaluate=similar_across_runs,
        parameters={"rtol": 1e-5, "num_steps": 3},
    ),
)
