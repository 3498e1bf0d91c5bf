"""AWS's rules on the GPUs themselves: low use, growing memory, uneven load.

Formulas and defaults: the rules' Apache-2.0 sources in awslabs/sagemaker-debugger, tag v1.0.0,
where they differ from AWS's guide. Differences here: patience and window are scaled to the job's
length (:func:`sm_entrypoints.rules.profiler.timeline.scaled_patience`), and samples count from the
first step on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sm_entrypoints.rules.evidence import Evidence, Numbers, Series
from sm_entrypoints.rules.profiler.timeline import (
    FEWEST_SAMPLES,
    GPU,
    GPU_MEMORY,
    NO_GPU,
    scaled_patience,
    series_of,
    too_few,
)
from sm_entrypoints.rules.result import RuleResult, judged, not_applicable
from sm_entrypoints.rules.rule import Rule

# LoadBalancing's histograms: 2% wide, as AWS's.
_BINS = np.arange(0, 101, 2)


def low_gpu_utilization(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """A GPU's 95th percentile is low, or it is high while the 5th is near nothing."""
    gpus = series_of(evidence, GPU)
    if not gpus:
        return not_applicable("LowGPUUtilization", NO_GPU)
    details: dict[str, Any] = {}
    triggered = points = 0
    used = dict(parameters)
    for gpu in gpus:
        count = len(gpu.values)
        wait, window = scaled_patience(count, parameters["patience"], parameters["window"])
        used |= {"patience": wait, "window": window}
        if window < FEWEST_SAMPLES:
            return too_few("LowGPUUtilization", count)
        p5, p95 = np.percentile(gpu.values[-window:], (5, 95)).tolist()
        low = p95 < parameters["threshold_p95"]
        fluctuating = not low and p5 < parameters["threshold_p5"]
        state = "low" if low else "fluctuating" if fluctuating else "busy"
        details[f"{gpu.node} {gpu.name}"] = {"p5": p5, "p95": p95, "state": state}
        triggered += low or fluctuating
        points += count
    rule = "LowGPUUtilization"
    return judged(rule, triggered, datapoints=points, details=details, parameters=used)


def gpu_memory_increase(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """The mean of the last samples of a GPU's memory rises by more than ``increase`` points.

    AWS compares the last ``window`` samples with those one sample earlier at each new sample;
    here with the ``window`` before them, which finds the same jump and also a slower one.
    """
    memories = series_of(evidence, GPU_MEMORY)
    if not memories:
        return not_applicable("GPUMemoryIncrease", NO_GPU)
    details: dict[str, Any] = {}
    triggered = violations = points = 0
    used = dict(parameters)
    for memory in memories:
        count = len(memory.values)
        wait, _ = scaled_patience(count, parameters["patience"], count)
        window = max(2, min(parameters["window"], (count - wait) // 4))
        used |= {"patience": wait, "window": window}
        if count - wait < 2 * FEWEST_SAMPLES:
            return too_few("GPUMemoryIncrease", count)
        smooth = np.convolve(memory.values[wait:], np.ones(window) / window, "valid")
        rise = smooth[window:] - smooth[:-window]
        details[f"{memory.node} {memory.name}"] = {
            "first": float(smooth[0]),
            "last": float(smooth[-1]),
            "largest_rise": float(rise.max()),
        }
        above = int((rise > parameters["increase"]).sum())
        triggered += above > 0
        violations += above
        points += count
    counts = {"violations": violations, "datapoints": points}
    return judged("GPUMemoryIncrease", triggered, **counts, details=details, parameters=used)


def load_balancing(evidence: Evidence, parameters: Mapping[str, Any]) -> RuleResult:
    """The histograms of two GPUs' use differ: one works while the other waits."""
    gpus = series_of(evidence, GPU)
    if not gpus:
        return not_applicable("LoadBalancing", NO_GPU)
    if len(gpus) < 2:
        return not_applicable("LoadBalancing", "there is one GPU: nothing to balance")
    fewest = min(len(gpu.values) for gpu in gpus)
    wait, left = scaled_patience(fewest, parameters["patience"], fewest)
    if left < FEWEST_SAMPLES:
        return too_few("LoadBalancing", fewest)
    shares = [_histogram(gpu, wait) for gpu in gpus]
    details: dict[str, Any] = {}
    for one in range(len(gpus)):
        for two in range(one):
            names = [f"{gpus[index].node} {gpus[index].name}" for index in (two, one)]
            details[" and ".join(names)] = distance(shares[one], shares[two])
    triggered = sum(value > parameters["threshold"] for value in details.values())
    used = {**parameters, "patience": wait}
    points = sum(len(gpu.values) for gpu in gpus)
    return judged("LoadBalancing", triggered, datapoints=points, details=details, parameters=used)


def _histogram(gpu: Series, wait: int) -> Numbers:
    counts = np.histogram(gpu.values[wait:], _BINS)[0].astype(np.float64)
    return counts / max(1.0, float(counts.sum()))


def distance(one: Numbers, two: Numbers) -> float:
    """Return the square root of the Jensen-Shannon divergence (natural logarithm), 0 to 0.83."""
    middle = (one + two) / 2

    def entropy(shares: Numbers) -> float:
        some = shares > 0
        return float((shares[some] * np.log(shares[some] / middle[some])).sum())

    return float(np.sqrt(max(0.0, (entropy(one) + entropy(two)) / 2)))


GPU_RULES: tuple[Rule, ...] = (
    Rule(
        name="LowGPUUtilization",
        description="Looks for a GPU that has little to do or works in bursts.",
        threshold="The 95th percentile of GPU use over the last window is below 70%, or it is "
        "above that and the 5th percentile is below 10%.",
        recommendation="Raise batch_size, let more loader processes work ahead (num_workers), or "
        "take a smaller GPU.",
        parameters={"threshold_p95": 70, "threshold_p5": 10, "window": 500, "patience": 1000},
        evaluate=low_gpu_utilization,
    ),
    Rule(
        name="GPUMemoryIncrease",
        description="Looks for GPU memory that keeps growing during training: usually results that "
        "are kept together with their gradient history.",
        threshold="The mean of the last 10 samples is more than 5 percentage points above the "
        "mean before them.",
        recommendation="Keep numbers, not tensors (loss.item()); free what is no longer needed.",
        parameters={"increase": 5, "patience": 1000, "window": 10},
        evaluate=gpu_memory_increase,
    ),
    Rule(
        name="LoadBalancing",
        description="Checks whether several GPUs share the work evenly.",
        threshold="The histograms of two GPUs' use are further apart than 0.2 (square root of the "
        "Jensen-Shannon divergence).",
        recommendation="Train with one process per GPU (torchrun, DistributedDataParallel) and "
        "give each the same number of images.",
        parameters={"threshold": 0.2, "patience": 1000},
        evaluate=load_balancing,
    ),
)
