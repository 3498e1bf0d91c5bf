"""The two rules of AWS that never trigger: they only summarise. Their parts have AWS's names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sm_entrypoints.contract import STEP_PHASES
from sm_entrypoints.rules.evidence import Evidence, Numbers, Series
from sm_entrypoints.rules.profiler.timeline import mean_of, nodes_of, on_node, steps_of
from sm_entrypoints.rules.result import RuleResult, judged, not_applicable
from sm_entrypoints.rules.rule import Rule

# Part of the report → dimension and name of its series; the mean over cores or devices is taken.
_PARTS: dict[str, tuple[str, str | None]] = {
    "CPU": ("CPUUtilization", None),
    "CPU memory": ("", "MemoryUsedPercent"),
    "GPU": ("GPUUtilization", None),
    "GPU memory": ("GPUMemoryUtilization", None),
    "I/O": ("I/OWaitPercentage", None),
    "Network": ("Platform", None),
}


def overall_system_usage(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """Sum up every resource of every node over the whole job: max, p99, p95, p50, min."""
    details: dict[str, Any] = {}
    points = 0
    for part, (dimension, name) in _PARTS.items():
        series = [one for one in evidence.system if _is(one, dimension, name)]
        usage = {node: _spread(_usage(part, on_node(series, node))) for node in nodes_of(series)}
        if usage:
            details[part] = usage
            points += sum(len(one.values) for one in series)
    if not details:
        return not_applicable("OverallSystemUsage", "the system was not sampled")
    return judged("OverallSystemUsage", 0, datapoints=points, details=details)


def _is(series: Series, dimension: str, name: str | None) -> bool:
    return series.dimension == dimension and name in (None, series.name)


def _usage(part: str, series: Sequence[Series]) -> Numbers:
    """Return one value a moment: the mean over cores and devices, of the network the sum."""
    return mean_of(series) * (len({one.name for one in series}) if part == "Network" else 1)


def _spread(values: Numbers) -> dict[str, float]:
    shares = {"max": 100, "p99": 99, "p95": 95, "p50": 50, "min": 0}
    return dict(zip(shares, np.percentile(values, [*shares.values()]).tolist(), strict=True))


def overall_framework_metrics(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """Sum up where the time went: training, evaluation, the rest; and the phases of a step."""
    if not evidence.steps:
        return not_applicable("OverallFrameworkMetrics", "no steps were recorded")
    modes = {mode: steps_of(evidence, mode) for mode in ("TRAIN", "EVAL")}
    spent = {mode: float(steps.seconds.sum()) for mode, steps in modes.items()}
    total = (evidence.job.get("seconds") or {}).get("total") or sum(spent.values())
    spent["others"] = max(0.0, total - sum(spent.values()))
    return judged(
        "OverallFrameworkMetrics",
        0,
        datapoints=sum(map(len, modes.values())),
        details={
            "phase_time": spent,
            "phase": {mode: 100 * seconds / max(total, 1e-9) for mode, seconds in spent.items()},
            "steps": {mode: len(steps) for mode, steps in modes.items()},
            "step_phases": {
                mode: {phase: float(steps.phases[phase].sum()) for phase in STEP_PHASES}
                for mode, steps in modes.items()
                if len(steps)
            },
        },
    )


OVERVIEW_RULES: tuple[Rule, ...] = (
    Rule(
        name="OverallSystemUsage",
        description="Summarises how much of each resource was used.",
        threshold="Never: it only reports.",
        recommendation="Nothing to do.",
        evaluate=overall_system_usage,
    ),
    Rule(
        name="OverallFrameworkMetrics",
        description="Summarises where the job's time went.",
        threshold="Never: it only reports.",
        recommendation="Nothing to do.",
        evaluate=overall_framework_metrics,
    ),
)
