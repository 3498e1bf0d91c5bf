"""Sampling is as dense as its cost allows, and every epoch of a short job is seen."""

from __future__ import annotations

import pytest

from sm_entrypoints.instrumentation.tensors.stride import OVERHEAD_TARGET, SHORTEST_STRIDE, Stride


def _run(stride: Stride, *, epochs: int, steps: int, seconds: float, cost: float) -> list[int]:
    found = []
    for step in range(epochs * steps):
        if stride.due(step, begins_epoch=step % steps == 0):
            found.append(step)
            stride.sampled(step, seconds, cost)
        else:
            stride.passed(seconds)
    return found


def test_a_long_run_spends_its_share() -> None:
    found = _run(Stride(), epochs=10, steps=5_000, seconds=0.1, cost=0.3)
    spent = len(found) * 0.3 / (50_000 * 0.1)
    assert 0.5 * OVERHEAD_TARGET < spent < 1.1 * OVERHEAD_TARGET


def test_cheap_samples_come_at_the_shortest_distance() -> None:
    found = _run(Stride(), epochs=1, steps=1_000, seconds=0.1, cost=0.001)
    assert found[:4] == [0, 1, 1 + SHORTEST_STRIDE, 1 + 2 * SHORTEST_STRIDE]


def test_a_short_job_is_seen_in_each_epoch() -> None:
    found = _run(Stride(), epochs=6, steps=13, seconds=0.1, cost=0.03)
    assert {0, 13, 26, 39, 52, 65} <= set(found)


def test_many_short_epochs_do_not_add_up() -> None:
    found = _run(Stride(), epochs=5_000, steps=4, seconds=0.01, cost=0.05)
    assert len(found) * 0.05 < 0.5 + 2 * OVERHEAD_TARGET * 20_000 * 0.01


def test_a_fixed_distance_is_kept_whatever_it_costs() -> None:
    found = _run(Stride(10), epochs=1, steps=50, seconds=0.01, cost=1.0)
    assert found == [0, 1, 11, 21, 31, 41]


def test_thinning_stretches_the_distance() -> None:
    stride = Stride(10)
    stride.sampled(5, 0.1, 0.1, thinning=16)
    assert not stride.due(164)
    assert stride.due(165)


def test_a_distance_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Stride(0)
