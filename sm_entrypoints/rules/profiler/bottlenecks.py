"""AWS's rules on what keeps a GPU waiting: BatchSize, CPUBottleneck, IOBottleneck.

Formulas and defaults: the rules' Apache-2.0 sources in awslabs/sagemaker-debugger, tag v1.0.0,
where they differ from AWS's guide. Differences here: patience and window are scaled to the job's
length (:func:`sm_entrypoints.rules.profiler.timeline.scaled_patience`), and samples count from the
first step on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from sm_entrypoints.rules.evidence import Evidence, Numbers
from sm_entrypoints.rules.profiler.timeline import (
    CPU,
    FEWEST_SAMPLES,
    GPU,
    GPU_MEMORY,
    IO_WAIT,
    NO_GPU,
    mean_of,
    moments,
    nodes_of,
    on_node,
    scaled_patience,
    series_of,
    too_few,
)
from sm_entrypoints.rules.result import RuleResult, judged, not_applicable
from sm_entrypoints.rules.rule import Rule


def batch_size(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """CPU, GPU and GPU memory are all little used over the last window: the batch is too small."""
    gpus = series_of(evidence, GPU)
    if not gpus:
        return not_applicable("BatchSize", f"{NO_GPU}; BatchSizeThroughput judges it on a CPU")
    cores, memories = series_of(evidence, CPU), series_of(evidence, GPU_MEMORY)
    details: dict[str, Any] = {}
    triggered = points = 0
    used = dict(parameters)
    for gpu in gpus:
        cpu = mean_of(on_node(cores, gpu.node))
        memory = [one.values for one in on_node(memories, gpu.node) if one.name == gpu.name]
        parts = {"cpu": cpu, "gpu": gpu.values, "gpu_memory": memory[0] if memory else cpu[:0]}
        count = min(map(len, parts.values()))
        wait, window = scaled_patience(count, parameters["patience"], parameters["window"])
        used |= {"patience": wait, "window": window}
        if window < FEWEST_SAMPLES:
            return too_few("BatchSize", count)
        last = {name: values[-window:] for name, values in parts.items()}
        high = {name: float(np.percentile(values, 95)) for name, values in last.items()}
        triggered += all(high[name] < parameters[f"{name}_threshold_p95"] for name in parts)
        points += count
        details[f"{gpu.node} {gpu.name}"] = {f"{name}_p95": value for name, value in high.items()}
    return judged("BatchSize", triggered, datapoints=points, details=details, parameters=used)


def _snapshots(evidence: Evidence, dimension: str) -> Iterator[tuple[str, Numbers, Numbers]]:
    """Yield for each node the lowest GPU use and the highest of ``dimension`` at every look."""
    gpus, others = series_of(evidence, GPU), series_of(evidence, dimension)
    for node in nodes_of(gpus):
        low, high = on_node(gpus, node), on_node(others, node)
        if not high:
            continue
        numbers, count = moments([*low, *high])
        split = sum(len(one.values) for one in low)
        lowest, highest = np.full(count, np.nan), np.full(count, np.nan)
        np.fmin.at(lowest, numbers[:split], np.concatenate([one.values for one in low]))
        np.fmax.at(highest, numbers[split:], np.concatenate([one.values for one in high]))
        both = ~(np.isnan(lowest) | np.isnan(highest))
        yield node, lowest[both], highest[both]


def _bottleneck(
    evidence: Evidence, parameters: Mapping[str, Any], rule: str, dimension: str, bound: str
) -> RuleResult:
    if not series_of(evidence, GPU):
        return not_applicable(rule, f"{NO_GPU}; DataWait and IOWait judge it on a CPU")
    details: dict[str, Any] = {}
    triggered = violations = points = 0
    used = dict(parameters)
    for node, low, high in _snapshots(evidence, dimension):
        used["patience"], left = scaled_patience(len(low), parameters["patience"], len(low))
        if left < FEWEST_SAMPLES:
            return too_few(rule, len(low))
        hit = (low < parameters["gpu_threshold"]) & (high > parameters[bound])
        share = 100 * float(hit.mean())
        details[node] = {
            "percent": share,
            "low_gpu_percent": 100 * float((low < parameters["gpu_threshold"]).mean()),
        }
        triggered += share > parameters["threshold"]
        violations += int(hit.sum())
        points += len(low)
    if not points:
        return not_applicable(rule, f"the samples hold no {dimension} beside the GPU's")
    counts = {"violations": violations, "datapoints": points}
    return judged(rule, triggered, **counts, details=details, parameters=used)


def cpu_bottleneck(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """Some GPU idles while some core is full, at more than ``threshold`` % of the looks."""
    return _bottleneck(evidence, parameters, "CPUBottleneck", CPU, "cpu_threshold")


def io_bottleneck(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """Some GPU idles while some core waits for I/O, at more than ``threshold`` % of the looks."""
    return _bottleneck(evidence, parameters, "IOBottleneck", IO_WAIT, "io_threshold")


BOTTLENECK_RULES: tuple[Rule, ...] = (
    Rule(
        name="BatchSize",
        description="Checks whether the machine has room for larger batches: CPU, GPU and GPU "
        "memory all stay far from full.",
        threshold="The 95th percentiles of CPU use, GPU use and GPU memory over the last window of "
        "samples are all below 70%.",
        recommendation="Raise batch_size (and lr in step with it), or take a smaller instance.",
        parameters={
            "cpu_threshold_p95": 70,
            "gpu_threshold_p95": 70,
            "gpu_memory_threshold_p95": 70,
            "patience": 1000,
            "window": 500,
        },
        evaluate=batch_size,
    ),
    Rule(
        name="CPUBottleneck",
        description="Looks for a GPU that idles while a CPU core is full: the CPU prepares data "
        "too slowly.",
        threshold="At more than 50% of the samples a GPU is below 10% while a core is above 90%.",
        recommendation="Give the loader more processes (num_workers), cheaper augmentation, or "
        "an instance with more cores per GPU.",
        parameters={"threshold": 50, "gpu_threshold": 10, "cpu_threshold": 90, "patience": 1000},
        evaluate=cpu_bottleneck,
    ),
    Rule(
        name="IOBottleneck",
        description="Looks for a GPU that idles while a core waits for the disk.",
        threshold="At more than 50% of the samples a GPU is below 10% while a core waits for "
        "I/O for more than 50% of its time.",
        recommendation="Keep the images in memory, use FastFile mode or a faster volume, or "
        "fewer and larger files.",
        parameters={"threshold": 50, "gpu_threshold": 10, "io_threshold": 50, "patience": 1000},
        evaluate=io_bottleneck,
    ),
)
