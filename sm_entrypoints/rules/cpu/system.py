"""Rules that AWS lacks, about machine and process: idle cores, threads, memory, disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sm_entrypoints.rules.evidence import Evidence, Numbers
from sm_entrypoints.rules.profiler.timeline import (
    CPU,
    FEWEST_SAMPLES,
    GPU,
    IO_WAIT,
    mean_of,
    nodes_of,
    on_node,
    series_of,
    steps_of,
    too_few,
)
from sm_entrypoints.rules.result import RuleResult, judged, not_applicable
from sm_entrypoints.rules.rule import Rule

PROCESS_MEMORY = "ProcessMemoryBytes"
_MEGABYTE = 1e6
# Points of the robust line: enough for a slope, and its pairs stay few.
_LINE_POINTS = 200


def on_cpu(evidence: Evidence) -> bool:
    """Return whether the network ran on the CPU."""
    device = evidence.job.get("device")
    return device == "cpu" if device else not series_of(evidence, GPU)


def cpu_demand(evidence: Evidence) -> float | None:
    """Return the share (0 to 1) of the cores that the training process used or waited for.

    Time in which a thread was ready but had no core counts too: a busy machine does not make a
    training look idle. Of a training that went on with its tail alone, the time before that
    counts. None when that was not measured or loader processes share the work.
    """
    use, cores = _main_use(evidence), evidence.cores
    waited, wall = use.get("waited_seconds"), use.get("wall_seconds")
    alone = not evidence.summary.get("workers") and evidence.job.get("processes", 1) == 1
    if waited is None or not wall or not cores or not alone:
        return None
    # Threads that do not compute (our own sampler's, say) are no reason for more cores.
    most = min(1.0, float(evidence.job.get("threads") or cores) / cores)
    return min(most, float(use["cpu_seconds"] + waited) / float(wall * cores))


def _main_use(evidence: Evidence) -> Mapping[str, Any]:
    """Return the process's own accounts of the time in which the whole network ran."""
    use = evidence.job.get("process_use") or {}
    return use.get("whole_network") or use


def waiting_share(evidence: Evidence) -> float | None:
    """Return the share (0 to 1) of its running time that the process waited for a free core."""
    use = evidence.job.get("process_use") or {}
    waited, used = use.get("waited_seconds"), use.get("cpu_seconds")
    if waited is None or not used:
        return None
    return float(waited / (waited + used))


def low_cpu_utilization(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """Training on the CPU leaves cores idle: less than ``threshold`` % of them are used.

    From the process's own accounts when it kept them (for ``min_seconds`` at least), else from
    the machine's samples.
    """
    if not on_cpu(evidence):
        return not_applicable("LowCPUUtilization", "the network ran on a GPU")
    cores, demand = series_of(evidence, CPU), cpu_demand(evidence)
    use = mean_of(on_node(cores, nodes_of(cores)[0])) if cores else np.array([])
    seconds = _main_use(evidence).get("wall_seconds") or 0.0
    if demand is not None and seconds < parameters["min_seconds"]:
        return not_applicable("LowCPUUtilization", f"training took {seconds:.2f} s: too short")
    if demand is None and len(use) < parameters["min_samples"]:
        return too_few("LowCPUUtilization", len(use))
    percent = float(use.mean()) if demand is None else 100 * demand
    return judged(
        "LowCPUUtilization",
        percent < parameters["threshold"],
        violations=int((use < parameters["threshold"]).sum()),
        datapoints=len(use),
        details={
            "percent": percent,
            "measured": "the machine" if demand is None else "the training process",
            "machine_percent": float(use.mean()) if len(use) else None,
            "cores": evidence.cores,
            "threads": evidence.job.get("threads"),
        },
    )


def io_wait(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """The cores of a node wait for the disk for more than ``threshold`` % of the time."""
    waits = series_of(evidence, IO_WAIT)
    nodes = {node: mean_of(on_node(waits, node)) for node in nodes_of(waits)}
    fewest = min(map(len, nodes.values()), default=0)
    if fewest < parameters["min_samples"]:
        return too_few("IOWait", fewest)
    means = {node: float(values.mean()) for node, values in nodes.items()}
    triggered = sum(mean > parameters["threshold"] for mean in means.values())
    every = np.concatenate([*nodes.values()])
    return judged(
        "IOWait",
        triggered,
        violations=int((every > parameters["threshold"]).sum()),
        datapoints=len(every),
        details={"mean_percent": means},
    )


def memory_growth(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """The process's memory rises all through the training, by more than caches would explain.

    After the warm-up (the first ``warm_up_percent`` of the samples) all quarters of the rest must
    lie one above the other, and the robust line through them (Theil and Sen's: the median of
    the slopes of all pairs) must rise by ``megabytes`` and by ``percent`` of the memory.
    """
    series = series_of(evidence, "", PROCESS_MEMORY, whole=False)
    if not series:
        return not_applicable("MemoryGrowth", "the process's memory was not sampled")
    skipped = len(series[0].values) * parameters["warm_up_percent"] // 100
    times, values = series[0].timestamps[skipped:], series[0].values[skipped:]
    if len(values) < FEWEST_SAMPLES:
        return too_few("MemoryGrowth", len(series[0].values))
    quarters = [float(np.median(part)) for part in np.array_split(values, 4)]
    steady = min(np.diff(quarters)) > 0.1 * (quarters[-1] - quarters[0])
    rise = robust_slope(times, values) * float(times[-1] - times[0])
    percent = 100 * rise / max(quarters[0], 1.0)
    grows = (
        steady and rise > _MEGABYTE * parameters["megabytes"] and percent > parameters["percent"]
    )
    epochs = max(1, len(np.unique(steps_of(evidence).epoch)))
    return judged(
        "MemoryGrowth",
        grows,
        violations=int((values > values[0] + _MEGABYTE * parameters["megabytes"]).sum()),
        datapoints=len(values),
        details={
            "first_megabytes": quarters[0] / _MEGABYTE,
            "last_megabytes": quarters[-1] / _MEGABYTE,
            "rise_megabytes": rise / _MEGABYTE,
            "rise_percent": percent,
            "megabytes_per_epoch": rise / _MEGABYTE / epochs * len(series[0].values) / len(values),
        },
    )


def robust_slope(times: Numbers, values: Numbers) -> float:
    """Return the median of the slopes between all pairs of (at most 200) points."""
    chosen = np.linspace(0, len(times) - 1, min(len(times), _LINE_POINTS)).astype(np.int64)
    rows, columns = np.triu_indices(len(chosen), 1)
    first, second = chosen[rows], chosen[columns]
    apart = times[second] - times[first]
    real = apart > 0
    if not real.any():
        return 0.0
    return float(np.median((values[second] - values[first])[real] / apart[real]))


def thread_oversubscription(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """More threads compute than there are cores; or, with loader processes, far more."""
    threads, cores = evidence.job.get("threads"), evidence.cores
    if not threads or not cores or not on_cpu(evidence):
        reason = "the network ran on a GPU" if threads and cores else "threads or cores are unknown"
        return not_applicable("ThreadOversubscription", reason)
    computing = threads * int(evidence.job.get("processes") or 1)
    workers = int(evidence.summary.get("workers") or 0)
    many = computing > parameters["threads_per_core"] * cores
    crowded = computing + workers > parameters["threads_and_workers_per_core"] * cores
    waiting = waiting_share(evidence)
    return judged(
        "ThreadOversubscription",
        many or crowded,
        violations=int(many) + int(crowded),
        datapoints=1,
        details={
            "threads": computing,
            "workers": workers,
            "cores": cores,
            "waiting_percent": None if waiting is None else 100 * waiting,
            "involuntary_switches": (evidence.job.get("process_use") or {}).get(
                "involuntary_switches"
            ),
        },
    )


MACHINE_RULES: tuple[Rule, ...] = (
    Rule(
        name="LowCPUUtilization",
        description="Checks whether a training on the CPU uses the cores it pays for.",
        threshold="Training uses (or waits for) less than 60% of the cores.",
        recommendation="Set threads to the number of cores, raise batch_size, or take a smaller "
        "instance.",
        parameters={"threshold": 60, "min_samples": FEWEST_SAMPLES, "min_seconds": 1},
        evaluate=low_cpu_utilization,
    ),
    Rule(
        name="ThreadOversubscription",
        description="Compares the computing threads and the loader's processes with the available "
        "cores.",
        threshold="There are more computing threads than cores, or more than twice as many "
        "threads and loader processes together as cores.",
        recommendation="Set threads to the number of cores divided by the number of processes: "
        "threads that wait for each other's core slow down every step.",
        parameters={"threads_per_core": 1, "threads_and_workers_per_core": 2},
        evaluate=thread_oversubscription,
    ),
    Rule(
        name="MemoryGrowth",
        description="Looks for memory of the training process that keeps growing, so that a longer "
        "training would run out of it.",
        threshold="After the warm-up the memory rises in every quarter of the training, by more "
        "than 30 MB and by more than 5%.",
        recommendation="Look for lists that keep tensors, losses or images of every step; keep "
        "numbers (loss.item()) instead.",
        parameters={"megabytes": 30, "percent": 5, "warm_up_percent": 25},
        evaluate=memory_growth,
    ),
    Rule(
        name="IOWait",
        description="Checks whether the cores wait for the disk during training.",
        threshold="The cores wait for the disk for more than 20% of the time, on average.",
        recommendation="Keep the images in memory, use a faster volume, or fewer and larger files.",
        parameters={"threshold": 20, "min_samples": FEWEST_SAMPLES},
        evaluate=io_wait,
    ),
)
