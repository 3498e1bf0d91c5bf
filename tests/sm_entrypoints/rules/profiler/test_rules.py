from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sm_entrypoints.contract import RULES as NAMES
from sm_entrypoints.rules.catalogue import PROFILER_RULES, RULES
from sm_entrypoints.rules.evidence import Evidence
from sm_entrypoints.rules.profiler.gpu import distance
from sm_entrypoints.rules.profiler.timeline import (
    loop_span,
    mean_of,
    scaled_patience,
    series_of,
    steps_of,
)
from tests.sm_entrypoints.rules.cases import BY_NAME, START, evidence, job, judged, series, steps


def gpu_job(**values: Any) -> Evidence:
    """A job of two GPUs; values by name and dimension."""
    healthy = {
        "gpu0 GPUUtilization": 90.0,
        "gpu1 GPUUtilization": 90.0,
        "gpu0 GPUMemoryUtilization": 60.0,
        "gpu1 GPUMemoryUtilization": 60.0,
        "cpu0 CPUUtilization": 50.0,
        "cpu1 CPUUtilization": 20.0,
        "cpu0 I/OWaitPercentage": 1.0,
    }
    system = [series(*key.split(), value) for key, value in {**healthy, **values}.items()]
    return evidence(system=system)


def test_the_catalogue_holds_every_rule_that_people_can_name() -> None:
    assert sorted(BY_NAME) == sorted(NAMES)
    assert len(RULES) == len(BY_NAME)
    assert len(PROFILER_RULES) == 11
    for rule in RULES:
        assert rule.description.endswith(".")
        assert rule.recommendation.endswith(".")
        assert rule.threshold


@pytest.mark.parametrize("rule", [rule.name for rule in RULES])
def test_without_evidence_a_rule_does_not_apply_and_says_why(rule: str) -> None:
    result = judged(rule, Evidence())
    assert result.status == "NotApplicable"
    assert result.details["reason"]


@pytest.mark.parametrize(
    "rule",
    ["BatchSize", "CPUBottleneck", "IOBottleneck", "LowGPUUtilization", "GPUMemoryIncrease"],
)
def test_gpu_rules_need_a_gpu_and_are_silent_on_a_healthy_one(rule: str) -> None:
    assert "no GPU" in judged(rule, evidence()).details["reason"]
    result = judged(rule, gpu_job())
    assert result.status == "NoIssuesFound"
    assert result.datapoints >= 39


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        ("BatchSize", {"gpu0 GPUUtilization": 40.0, "gpu0 GPUMemoryUtilization": 30.0}),
        ("CPUBottleneck", {"gpu0 GPUUtilization": 2.0, "cpu1 CPUUtilization": 99.0}),
        ("IOBottleneck", {"gpu1 GPUUtilization": 2.0, "cpu0 I/OWaitPercentage": 70.0}),
        ("LowGPUUtilization", {"gpu0 GPUUtilization": 30.0}),
        ("LowGPUUtilization", {"gpu1 GPUUtilization": np.tile([99.0, 1.0], 20)}),
        ("GPUMemoryIncrease", {"gpu0 GPUMemoryUtilization": np.linspace(10, 90, 40)}),
        ("LoadBalancing", {"gpu0 GPUUtilization": 20.0}),
    ],
)
def test_gpu_rules_find_their_fault(rule: str, values: dict[str, Any]) -> None:
    result = judged(rule, gpu_job(**values))
    assert result.status == "IssuesFound"
    assert result.triggered >= 1
    assert result.document()["RuleTriggered"] == result.triggered


def test_half_a_fault_is_none() -> None:
    assert judged("BatchSize", gpu_job(**{"gpu0 GPUMemoryUtilization": 20.0})).triggered == 0
    assert judged("CPUBottleneck", gpu_job(**{"gpu0 GPUUtilization": 2.0})).triggered == 0
    short = gpu_job(
        **{"gpu0 GPUUtilization": [2.0] * 15 + [90.0] * 25, "cpu0 CPUUtilization": 99.0}
    )
    assert judged("CPUBottleneck", short).triggered == 0


def test_patience_scales_with_the_job_and_is_told() -> None:
    assert scaled_patience(40, 1000, 500) == (4, 36)
    assert scaled_patience(2000, 1000, 500) == (200, 500)
    assert scaled_patience(20_000, 1000, 500) == (1000, 500)
    result = judged("LowGPUUtilization", gpu_job())
    assert (result.parameters["patience"], result.parameters["window"]) == (3, 36)
    few = evidence(system=[series("gpu0", "GPUUtilization", 1.0, count=8)])
    assert "only 8 samples" in judged("LowGPUUtilization", few).details["reason"]


def test_the_distance_of_histograms_is_the_root_of_jensen_and_shannon() -> None:
    one, two = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    assert distance(one, one) == 0
    assert distance(one, two) == pytest.approx(np.sqrt(np.log(2)))
    # scipy.spatial.distance.jensenshannon([.5, .5], [.9, .1])
    assert distance(np.array([0.5, 0.5]), np.array([0.9, 0.1])) == pytest.approx(0.3189815, 1e-5)


def test_cores_that_are_sampled_unevenly_have_a_mean() -> None:
    short, long = (
        series(name, "CPUUtilization", value, count=count)
        for name, value, count in (("cpu0", 10.0, 3), ("cpu1", 30.0, 4))
    )
    assert mean_of([short, long]).tolist() == [20, 20, 20, 30]


def test_a_late_start_is_found() -> None:
    slow = evidence(job=job(seconds={"initialization": 1300.0, "total": 2000.0}))
    assert judged("MaxInitializationTime", slow).triggered == 1
    assert judged("MaxInitializationTime", evidence()).triggered == 0
    # A job of others tells only when sampling and its first step began.
    early = series("cpu0", "CPUUtilization", 5.0)
    early.timestamps[0] = START - 1500
    theirs = evidence(job={}, system=[early])
    result = judged("MaxInitializationTime", theirs)
    assert result.details["initialization_seconds"] == pytest.approx(1500)


def stalls(*places: int, seconds: float = 1.0, phase: str = "forward") -> dict[str, Any]:
    def change(columns: dict[str, Any], total: int) -> None:
        train = np.flatnonzero(columns["mode"] == "TRAIN")
        columns[phase][train[list(places)]] = seconds

    return steps(epochs=5, per_epoch=20, change=change)


def test_steps_that_stall_are_marked() -> None:
    result = judged("StepOutlier", evidence(steps=stalls(7, 31, 55, 70)))
    assert result.status == "IssuesFound"
    assert [mark.step for mark in result.marks] == [7, 31, 55, 70]
    assert {mark.subject for mark in result.marks} == {"forward"}
    details = result.details["TRAIN forward"]
    assert details["excess_seconds"] == pytest.approx(4 * 0.97)
    assert result.parameters["n_outliers"] == 2


@pytest.mark.parametrize(
    "table",
    [
        stalls(7, 31),  # too few
        stalls(0, 20, 40, 60, 80),  # the first of each epoch
        stalls(7, 31, 55, 70, seconds=0.05),  # what a scheduler's turn explains
        stalls(7, 31, 55, 70, phase="transfer", seconds=0.02),  # next to nothing of a step
    ],
)
def test_steps_that_may_be_slow_are_no_outliers(table: dict[str, Any]) -> None:
    assert judged("StepOutlier", evidence(steps=table)).status == "NoIssuesFound"


def test_the_profilers_window_does_not_count() -> None:
    window = {"workers": 0, "operators": {"window": [30, 32]}}
    facts = evidence(steps=stalls(30, 31, 32), summary=window)
    assert judged("StepOutlier", facts).status == "NoIssuesFound"
    assert not steps_of(facts).steady[30:33].any()


def test_steps_on_features_are_compared_with_their_own_kind() -> None:
    table = steps(epochs=4, per_epoch=60, features_from=2)
    quiet = judged("StepOutlier", evidence(steps=table))
    # The steps of the whole network take 80 times as long as the others.
    assert (quiet.status, quiet.datapoints) == ("NoIssuesFound", 59 + 3 * 59)
    late = np.flatnonzero((table["mode"] == "TRAIN") & (table["epoch"] == 3))[[10, 20, 30, 40]]
    table["forward"][late] = 0.09  # usual for the whole network, not for its tail
    found = judged("StepOutlier", evidence(steps=table))
    assert found.status == "IssuesFound"
    assert set(found.details) == {"TRAIN forward on features"}
    assert [mark.epoch for mark in found.marks] == [3] * 4


def test_the_machine_is_judged_while_the_whole_network_runs() -> None:
    table = steps(epochs=8, per_epoch=40, features_from=2)
    whole = loop_span(evidence(steps=table), whole=True)[1]
    assert START < whole < loop_span(evidence(steps=table))[1]
    gpu = [95.0 if START + 0.2 * index < whole else 3.0 for index in range(40)]
    seen = series("gpu0", "GPUUtilization", gpu)
    [cut] = series_of(evidence(steps=table, system=[seen]), "GPUUtilization")
    assert set(cut.values) == {95.0}
    [every] = series_of(evidence(steps=table, system=[seen]), "GPUUtilization", whole=False)
    assert len(every.values) >= len(cut.values)


def test_short_trainings_have_no_outliers() -> None:
    result = judged("StepOutlier", evidence(steps=steps(epochs=1, per_epoch=20)))
    assert result.status == "NotApplicable"


def loaders(processes: int, *, per_second: int = 4) -> dict[str, Any]:
    count = 40 * per_second
    return {
        "pid": np.arange(count) % processes + 100.0,
        "started": START + np.arange(count) / per_second,
        "seconds": np.full(count, 0.2),
        "samples": np.full(count, 32.0),
    }


@pytest.mark.parametrize(
    ("processes", "wait", "problem"),
    [(1, 0.001, None), (1, 0.1, "too few"), (2, 0.1, None), (5, 0.001, "too many")],
)
def test_loader_processes_are_compared_with_cores(
    processes: int, wait: float, problem: str | None
) -> None:
    table = steps(phases=(wait, 0.001, 0.03, 0.06, 0.002))
    facts = evidence(steps=table, workers=loaders(processes, per_second=8))
    result = judged("Dataloader", facts)
    assert result.details["problem"] == problem
    assert result.triggered == int(problem is not None)


def test_the_overviews_sum_up_and_never_trigger() -> None:
    usage = judged("OverallSystemUsage", evidence())
    assert usage.details["CPU"]["algo-1"]["p50"] == 96
    assert usage.status == "NoIssuesFound"
    metrics = judged("OverallFrameworkMetrics", evidence())
    assert metrics.details["steps"] == {"TRAIN": 80, "EVAL": 8}
    assert sum(metrics.details["phase"].values()) == pytest.approx(100)
    assert metrics.status == "NoIssuesFound"
