from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from sm_entrypoints.rules.cpu.steps import StepCost, step_cost
from sm_entrypoints.rules.cpu.system import PROCESS_MEMORY, cpu_demand, robust_slope
from tests.sm_entrypoints.rules.cases import evidence, job, judged, series, steps, use


def test_waiting_for_data_is_a_share_of_steady_steps() -> None:
    slow = evidence(steps=steps(phases=(0.05, 0.001, 0.03, 0.06, 0.002)))
    result = judged("DataWait", slow)
    assert result.status == "IssuesFound"
    assert result.details["percent"] == pytest.approx(35, abs=1)
    assert judged("DataWait", evidence()).status == "NoIssuesFound"

    def first_only(columns: dict[str, Any], total: int) -> None:
        columns["data_wait"][:: total // 4] = 3.0

    assert judged("DataWait", evidence(steps=steps(change=first_only))).status == "NoIssuesFound"


def test_a_wait_of_no_time_is_no_issue() -> None:
    fast = evidence(steps=steps(phases=(1e-4, 0, 1e-4, 1e-4, 0)))
    assert judged("DataWait", fast).status == "NoIssuesFound"


def test_waiting_for_images_is_judged_while_images_are_read() -> None:
    waiting = (0.05, 0.001, 0.03, 0.06, 0.002)
    # 40 steps that wait, then 400 so short that they say nothing about images.
    mixed = evidence(steps=steps(epochs=11, per_epoch=40, phases=waiting, features_from=2))
    result = judged("DataWait", mixed)
    assert result.status == "IssuesFound"
    assert result.datapoints == 39
    assert result.details["percent"] == pytest.approx(35, abs=1)
    kept = judged("DataWait", evidence(steps=steps(phases=waiting, features_from=1)))
    assert kept.status == "NotApplicable"
    assert "features in memory" in kept.details["reason"]


def test_idle_cores_are_those_of_the_whole_network() -> None:
    idle, busy = use(busy=0.4, wall=20.0), use(busy=0.97, wall=8.0)
    for whole, found in ((busy, "NoIssuesFound"), (idle, "IssuesFound")):
        measured = job(process_use={**use(busy=0.6, wall=28.0), "whole_network": whole})
        assert judged("LowCPUUtilization", evidence(job=measured)).status == found


def test_a_batch_is_judged_by_steps_of_the_whole_network() -> None:
    """The head alone has next to nothing to do: its steps are fixed cost, whatever the batch."""

    def change(columns: dict[str, Any], total: int) -> None:
        whole, train = columns["network"] == "whole", columns["mode"] == "TRAIN"
        columns["samples"] = np.where(train, 8.0, 32.0)
        columns["forward"] = np.where(whole, 0.004 * columns["samples"], 0.001)

    table = steps(epochs=8, per_epoch=40, features_from=2, change=change)
    result = judged("BatchSizeThroughput", evidence(steps=table))
    assert result.status == "NoIssuesFound"
    assert result.datapoints == 39


def costing(fixed: float, image: float, *, noise: float = 0.0) -> dict[str, Any]:
    """Steps of 32 images whose epochs end in one of 8, at these costs."""
    random = np.random.default_rng(5)

    def change(columns: dict[str, Any], total: int) -> None:
        columns["forward"] = fixed + image * columns["samples"]
        columns["forward"] *= 1 + noise * random.exponential(size=total)
        for name in ("data_wait", "transfer", "backward", "optimizer"):
            columns[name] = np.zeros(total)

    return steps(epochs=6, samples=lambda index: 8 if index == 19 else 32, change=change)


def test_the_cost_of_a_step_follows_from_two_sizes() -> None:
    cost = step_cost(evidence(steps=costing(0.1, 0.002)))
    assert cost is not None
    assert cost.fixed == pytest.approx(0.1)
    assert cost.image == pytest.approx(0.002)
    assert StepCost(batch=1, fixed=9, image=1, method="").factor(2) == pytest.approx(20 / 11)


def test_a_batch_is_too_small_when_fixed_cost_rules() -> None:
    result = judged("BatchSizeThroughput", evidence(steps=costing(0.1, 0.002)))
    assert result.status == "IssuesFound"
    assert result.details["better_batch_size"] == 64  # eight steps an epoch remain
    assert result.details["factor"] == pytest.approx(1.44, abs=0.01)
    fine = judged("BatchSizeThroughput", evidence(steps=costing(0.001, 0.004)))
    assert fine.status == "NoIssuesFound"


def test_noise_makes_no_fixed_cost() -> None:
    noisy = judged("BatchSizeThroughput", evidence(steps=costing(0.0, 0.004, noise=0.5)))
    assert noisy.status == "NoIssuesFound"


def test_a_batch_of_one_is_compared_with_evaluation() -> None:
    def change(columns: dict[str, Any], total: int) -> None:
        train = columns["mode"] == "TRAIN"
        columns["samples"] = np.where(train, 1.0, 32.0)
        columns["forward"] = np.where(train, 0.010, 0.03)

    result = judged("BatchSizeThroughput", evidence(steps=steps(per_epoch=200, change=change)))
    assert result.status == "IssuesFound"
    assert result.details["batch_size"] == 1
    assert result.details["better_batch_size"] == 16
    assert result.details["factor"] > 3
    one_size = judged("BatchSizeThroughput", evidence())
    assert one_size.status == "NotApplicable"


@pytest.mark.parametrize(
    ("busy", "waited", "low"),
    [(0.97, 0.0, False), (0.3, 0.0, True), (0.3, 0.6, False), (0.45, 0.05, True)],
)
def test_idle_cores_are_those_that_training_did_not_ask_for(
    busy: float, waited: float, low: bool
) -> None:
    facts = evidence(job=job(process_use=use(busy=busy, waited=waited)))
    assert judged("LowCPUUtilization", facts).triggered == int(low)


def test_the_machine_is_asked_when_the_process_kept_no_accounts() -> None:
    idle = [series("cpu0", "CPUUtilization", 20.0), series("cpu1", "CPUUtilization", 60.0)]
    result = judged("LowCPUUtilization", evidence(job=job(process_use={}), system=idle))
    assert (result.triggered, result.details["measured"]) == (1, "the machine")
    # With loader processes the accounts of one process are not the whole.
    shared = evidence(summary={"workers": 2, "cores": 2})
    assert cpu_demand(shared) is None
    assert judged("LowCPUUtilization", shared).triggered == 0
    gpu = evidence(job=job(device="cuda"))
    assert judged("LowCPUUtilization", gpu).status == "NotApplicable"


def memory(values: Callable[[Any], Any]) -> Any:
    shape = values(np.linspace(0, 1, 40))
    return evidence(system=[series(PROCESS_MEMORY, "", shape * 1e6)])


@pytest.mark.parametrize(
    ("values", "grows"),
    [
        (lambda share: 500 + 300 * share, True),
        (lambda share: 500 + 300 * share + 20 * np.sin(60 * share), True),
        (lambda share: 500 + 300 * (share < 0.9), False),
        (lambda share: 500 + 200 * (share > 0.6), False),  # one step up, then flat
        (lambda share: 500 + 300 * np.minimum(share, 0.2), False),  # warming up
        (lambda share: 5000 + 100 * share, False),  # little of it
        (lambda share: 500 + 0 * share, False),
    ],
)
def test_memory_that_never_comes_back(values: Callable[[Any], Any], grows: bool) -> None:
    assert judged("MemoryGrowth", memory(values)).triggered == int(grows)


def test_the_robust_slope_ignores_outliers() -> None:
    times = np.arange(1000.0)
    values = 3 * times
    values[::10] += 1e6
    assert robust_slope(times, values) == pytest.approx(3)
    assert robust_slope(np.zeros(5), values[:5]) == 0


@pytest.mark.parametrize(
    ("threads", "processes", "workers", "found"),
    [(2, 1, 0, 0), (2, 1, 2, 0), (4, 1, 0, 1), (2, 2, 0, 1), (2, 1, 3, 1), (1, 1, 1, 0)],
)
def test_threads_and_workers_fit_the_cores(
    threads: int, processes: int, workers: int, found: int
) -> None:
    facts = evidence(
        job=job(threads=threads, processes=processes), summary={"workers": workers, "cores": 2}
    )
    assert judged("ThreadOversubscription", facts).triggered == found


def test_waiting_for_the_disk() -> None:
    waits = [series(f"cpu{core}", "I/OWaitPercentage", 35.0) for core in range(2)]
    assert judged("IOWait", evidence(system=waits)).triggered == 1
    waits[0].values[:] = 1.0
    assert judged("IOWait", evidence(system=waits)).triggered == 0
