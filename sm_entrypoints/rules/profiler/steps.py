"""The profiler rules of AWS that look at steps, start-up and loader processes.

Formulas and defaults: awslabs/sagemaker-debugger, tag v1.0.0. Each rule states its differences.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sm_entrypoints.contract import STEP_PHASES, TAIL_ALONE, WHOLE_NETWORK
from sm_entrypoints.rules.evidence import Evidence, Numbers
from sm_entrypoints.rules.profiler.timeline import (
    Steps,
    loop_span,
    main_steps,
    phase_share,
    steps_of,
)
from sm_entrypoints.rules.result import Mark, RuleResult, judged, not_applicable
from sm_entrypoints.rules.rule import Rule

_MODES = ("TRAIN", "EVAL")
_MOST_MARKS = 20
# A phase that is next to nothing of a step cannot hold the training back.
_MATERIAL_SHARE = 0.05
_FEWEST_STEPS = 30


def max_initialization_time(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """The time before the first step exceeds ``threshold`` minutes."""
    seconds = initialization_seconds(evidence)
    if seconds is None:
        return not_applicable("MaxInitializationTime", "the time before the first step is unknown")
    late = seconds > 60 * parameters["threshold"]
    details = {"initialization_seconds": seconds}
    return judged("MaxInitializationTime", late, datapoints=1, details=details)


def initialization_seconds(evidence: Evidence) -> float | None:
    """Return the seconds before the first step, the imports included; None when unknown."""
    told = evidence.job.get("seconds") or {}
    if "initialization" in told:
        return float(told["initialization"]) + float(told.get("start_up") or 0.0)
    if not evidence.steps or not evidence.system:
        return None
    first = min(float(series.timestamps[0]) for series in evidence.system)
    return loop_span(evidence)[0] - first


def step_outlier(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """More than ``n_outliers`` steps lie ``stddev`` deviations above the mean, in some phase.

    AWS wants more than 100 steps and more than 10 outliers. Here a shorter training is judged
    too (30 steps; more than 2% of them, at least 3). The first step of an epoch, the
    torch.profiler window, phases below 5% of a step and times that a scheduler's turn explains
    (``min_seconds`` above the median) do not count. Steps are compared with those of their mode
    that ran the same: the whole network, or its tail on kept features.
    """
    details: dict[str, Any] = {}
    marks: list[Mark] = []
    triggered = violations = points = 0
    allowed: dict[tuple[str, str], int] = {}
    for mode, network in itertools.product(_MODES, (WHOLE_NETWORK, TAIL_ALONE)):
        steps = steps_of(evidence, mode, network)
        count = int(steps.steady.sum())
        if count < parameters["min_steps"] or parameters["mode"] not in (None, mode):
            continue
        points += count
        allowed[mode, network] = min(parameters["n_outliers"], max(2, count // 50))
        for phase in STEP_PHASES:
            if phase_share(steps, phase) < _MATERIAL_SHARE:
                continue
            above = _outliers(steps, phase, parameters)
            violations += int(above.sum())
            if above.sum() > allowed[mode, network]:
                triggered += 1
                fed = " on features" if network == TAIL_ALONE else ""
                details[f"{mode} {phase}{fed}"] = _excess(steps, phase, above)
                marks += _marks(steps, mode, phase, above)
    if not points:
        reason = f"fewer than {parameters['min_steps']} steps: a deviation would mean nothing"
        return not_applicable("StepOutlier", reason)
    return RuleResult(
        rule="StepOutlier",
        status="IssuesFound" if triggered else "NoIssuesFound",
        triggered=triggered,
        violations=violations,
        datapoints=points,
        details=details,
        parameters={**parameters, "n_outliers": max(allowed.values())},
        marks=tuple(marks[:_MOST_MARKS]),
    )


def _outliers(steps: Steps, phase: str, parameters: Mapping[str, Any]) -> NDArray[np.bool_]:
    seconds = steps.phases[phase]
    steady = seconds[steps.steady]
    bound = float(steady.mean() + parameters["stddev"] * steady.std())
    least = float(np.median(steady)) + parameters["min_seconds"]
    above: NDArray[np.bool_] = steps.steady & (seconds > max(bound, least))
    return above


def _excess(steps: Steps, phase: str, above: NDArray[np.bool_]) -> dict[str, float]:
    seconds = steps.phases[phase]
    usual = float(np.median(seconds[steps.steady]))
    return {
        "outliers": int(above.sum()),
        "median_seconds": usual,
        "max_seconds": float(seconds[above].max()),
        "excess_seconds": float((seconds[above] - usual).sum()),
    }


def _marks(steps: Steps, mode: str, phase: str, above: NDArray[np.bool_]) -> list[Mark]:
    usual = float(np.median(steps.phases[phase][steps.steady]))
    marks = []
    for index in np.flatnonzero(above)[:_MOST_MARKS]:
        seconds = float(steps.phases[phase][index])
        message = f"{phase} took {1e3 * seconds:.0f} ms, usually {1e3 * usual:.0f} ms"
        place = {"step": int(steps.step[index]), "epoch": int(steps.epoch[index])}
        marks.append(Mark(**place, mode=mode, subject=phase, message=message))
    return marks


def dataloader(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """Too few processes load data while training waits for it, or too many for the cores.

    AWS counts distinct loader processes per second (the median) and triggers below 70% of the
    cores whether or not the training waits; data in memory needs none, so here the lower bound
    counts only when training waits for data for more than ``wait_percent`` of a step.
    """
    started, pids = evidence.workers.get("started"), evidence.workers.get("pid")
    if started is None or pids is None or not len(started):
        return not_applicable("Dataloader", "the making of batches was not recorded")
    if not evidence.cores:
        return not_applicable("Dataloader", "the number of cores is unknown")
    # Rows of kept features, which the whole network's steps are followed by, are no loading.
    loading = started <= loop_span(evidence, whole=True)[1]
    if not loading.any():
        return not_applicable("Dataloader", "no images were read in a step of the whole network")
    ends = started + evidence.workers["seconds"]
    busy = _processes_per_second(started[loading], ends[loading], pids[loading])
    percent = 100 * float(np.median(busy)) / evidence.cores
    wait = 100 * phase_share(main_steps(evidence), "data_wait")
    few = percent < parameters["min_threshold"] and wait > parameters["wait_percent"]
    many = percent > parameters["max_threshold"]
    return judged(
        "Dataloader",
        few or many,
        datapoints=len(busy),
        details={
            "processes": float(np.median(busy)),
            "cores": evidence.cores,
            "percent": percent,
            "data_wait_percent": wait,
            "problem": "too few" if few else "too many" if many else None,
        },
    )


def _processes_per_second(started: Numbers, ends: Numbers, pids: Numbers) -> Numbers:
    """Return for every second in which some process made a batch how many processes did."""
    first = np.floor(started).astype(np.int64)
    last = np.floor(ends).astype(np.int64)
    lengths = last - first + 1
    before = np.repeat(np.cumsum(lengths) - lengths, lengths)
    seconds = np.repeat(first, lengths) + np.arange(lengths.sum()) - before
    pairs = np.unique(np.stack([seconds, np.repeat(pids, lengths).astype(np.int64)]), axis=1)
    counts: Numbers = np.unique(pairs[0], return_counts=True)[1].astype(np.float64)
    return counts


STEP_RULES: tuple[Rule, ...] = (
    Rule(
        name="MaxInitializationTime",
        description="Looks at the time before the first step: reading data, building the network, "
        "loading weights.",
        threshold="The time before the first step is longer than 20 minutes.",
        recommendation="Use fewer and larger files, FastFile mode, or prepare the data once in a "
        "separate job.",
        parameters={"threshold": 20},
        evaluate=max_initialization_time,
    ),
    Rule(
        name="StepOutlier",
        description="Looks for single steps that take far longer than the others.",
        threshold="In a significant phase, more than 10 steps (in a short training more than 2% "
        "of them) lie 3 standard deviations above the mean, and 30 ms above the usual "
        "time.",
        recommendation="Look at what happens at the marked steps: checkpoints, logging, large "
        "images, a busy disk, or other programs on the machine.",
        parameters={
            "stddev": 3,
            "mode": None,
            "n_outliers": 10,
            "min_steps": _FEWEST_STEPS,
            "min_seconds": 0.03,
        },
        evaluate=step_outlier,
    ),
    Rule(
        name="Dataloader",
        description="Compares the number of processes that load data with the machine's cores.",
        threshold="Training waits for data for more than 10% of a step while fewer processes than "
        "70% of the cores load it, or more processes than 200% of the cores load it.",
        recommendation="Set num_workers to the number of cores that training leaves idle.",
        parameters={"min_threshold": 70, "max_threshold": 200, "wait_percent": 10},
        evaluate=dataloader,
    ),
)
