"""What profiler rules share: the steps of a mode, and the samples taken during training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sm_entrypoints.contract import STEP_PHASES, WHOLE_NETWORK
from sm_entrypoints.rules.evidence import Evidence, Numbers, Series
from sm_entrypoints.rules.result import RuleResult, not_applicable

_TEXTS = ("mode", "network")
# AWS takes events within 20 ms of each other for one look at the machine.
_SAME_MOMENT = 0.02
CPU, GPU = "CPUUtilization", "GPUUtilization"
GPU_MEMORY, IO_WAIT = "GPUMemoryUtilization", "I/OWaitPercentage"
NO_GPU = "the job has no GPU series: nothing to compare with"
# Below this many samples after the patience a share or a percentile says nothing.
FEWEST_SAMPLES = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Steps:
    """The steps of one mode, one entry a step; times in seconds.

    ``steady`` leaves out the first step of every epoch (it starts the loader) and those of the
    torch.profiler window (it slows them down).
    """

    step: Numbers
    epoch: Numbers
    samples: Numbers
    phases: Mapping[str, Numbers]
    seconds: Numbers
    steady: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.step)


def steps_of(evidence: Evidence, mode: str = "TRAIN", network: str | None = None) -> Steps:
    """Return the steps of ``mode`` (TRAIN or EVAL); none when none were recorded.

    Args:
        evidence: what the job left.
        mode: TRAIN or EVAL.
        network: only the steps that ran ``contract.WHOLE_NETWORK``, or its ``TAIL_ALONE``.
    """
    table = evidence.steps
    if not table:
        nothing = np.array([])
        empty = dict.fromkeys(STEP_PHASES, nothing)
        return _steps(dict.fromkeys(("step", "epoch", "samples"), nothing) | empty, ())
    chosen = table["mode"] == mode
    if network is not None:
        chosen = chosen & (_ran(table) == network)
    window = (evidence.summary.get("operators") or {}).get("window") or ()
    columns = {name: column[chosen] for name, column in table.items() if name not in _TEXTS}
    return _steps(columns, window if mode == "TRAIN" else ())


def main_steps(evidence: Evidence, mode: str = "TRAIN") -> Steps:
    """Return the steps by which a training's speed is judged.

    Those that ran the whole network over images; where there are none, all of them. Steps that
    run the tail on kept features are so much shorter that the two must not be compared.
    """
    whole = steps_of(evidence, mode, WHOLE_NETWORK)
    return whole if len(whole) else steps_of(evidence, mode)


def _ran(table: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    """Return what ran in each step: the whole network where nobody said."""
    told = table.get("network")
    return np.full(len(table["mode"]), WHOLE_NETWORK) if told is None else told


def _steps(columns: Mapping[str, Numbers], window: Sequence[float]) -> Steps:
    phases = {name: columns[name] for name in STEP_PHASES}
    epoch, step = columns["epoch"], columns["step"]
    steady = np.ones(len(epoch), dtype=np.bool_)
    steady[:1] = False
    steady[1:] = epoch[1:] == epoch[:-1]
    if len(window) == 2:
        steady &= (step < window[0]) | (step > window[1])
    return Steps(
        step=step,
        epoch=epoch,
        samples=columns["samples"],
        phases=phases,
        seconds=np.sum([*phases.values()], axis=0),
        steady=steady,
    )


def phase_share(steps: Steps, phase: str) -> float:
    """Return the share (0 to 1) of the steady steps' time that one phase takes."""
    total = float(steps.seconds[steps.steady].sum())
    return float(steps.phases[phase][steps.steady].sum()) / total if total > 0 else 0.0


def loop_span(evidence: Evidence, *, whole: bool = False) -> tuple[float, float]:
    """Return when the first step began and the last one ended, in unix seconds.

    Everything when no steps are known. With ``whole``, of the steps that ran the whole network; of
    all where none did.
    """
    if not evidence.steps:
        return -np.inf, np.inf
    chosen = _ran(evidence.steps) == WHOLE_NETWORK
    if not whole or not chosen.any():
        chosen[:] = True
    started = evidence.steps["started"][chosen]
    ends = started + np.sum([evidence.steps[name][chosen] for name in STEP_PHASES], axis=0)
    return float(started.min()), float(ends.max())


def series_of(
    evidence: Evidence, dimension: str, name: str | None = None, *, whole: bool = True
) -> list[Series]:
    """Return the series of a dimension (and name), only of the time while it trained.

    Of a training that went on with its tail alone, only while the ``whole`` network ran: later on
    there is next to nothing to compute.
    """
    first, last = loop_span(evidence, whole=whole)
    trained = []
    for series in evidence.system:
        if series.dimension != dimension or name not in (None, series.name):
            continue
        inside = (series.timestamps >= first) & (series.timestamps <= last)
        if inside.any():
            cut = {"timestamps": series.timestamps[inside], "values": series.values[inside]}
            trained.append(Series(node=series.node, dimension=dimension, name=series.name, **cut))
    return trained


def nodes_of(series: Sequence[Series]) -> list[str]:
    """Return the nodes that the series are of, sorted."""
    return sorted({one.node for one in series})


def on_node(series: Sequence[Series], node: str) -> list[Series]:
    """Return the series of one node."""
    return [one for one in series if one.node == node]


def moments(series: Sequence[Series]) -> tuple[NDArray[np.int64], int]:
    """Return for each value of all series, in their order, the number of its sample of the machine.
    The second value is the number of samples.
    """
    times = np.concatenate([one.timestamps for one in series])
    order = np.argsort(times, kind="stable")
    numbers = np.empty(len(times), dtype=np.int64)
    numbers[order] = np.concatenate([[0], np.cumsum(np.diff(times[order]) > _SAME_MOMENT)])
    return numbers, int(numbers.max()) + 1


def mean_of(series: Sequence[Series]) -> Numbers:
    """Return the mean over the series (a node's cores) at every sample of the machine."""
    if not series:
        return np.array([])
    numbers, count = moments(series)
    values = np.concatenate([one.values for one in series])
    return np.bincount(numbers, values, count) / np.bincount(numbers, minlength=count)


def scaled_patience(points: int, patience: int, window: int) -> tuple[int, int]:
    """Return how many samples to pass over and how many to judge, for a job of ``points``.

    AWS's patience of 1000 samples is 8 minutes at 500 ms: no rule would speak about a shorter
    training. So the patience is a tenth of the samples, at most AWS's, and the window what is
    left, at most AWS's.
    """
    wait = min(patience, points // 10)
    return wait, max(0, min(window, points - wait))


def too_few(rule: str, count: int) -> RuleResult:
    """Return the result of a rule that has fewer samples than it needs."""
    return not_applicable(
        rule,
        f"only {count} samples were taken during training; at least {FEWEST_SAMPLES} are needed",
    )
