from __future__ import annotations

import threading
import time

import pytest

from sm_entrypoints.job.process_use import ProcessUse


def test_sleeping_uses_nothing() -> None:
    with ProcessUse() as use:
        time.sleep(0.2)
    document = use.document()
    wall, cpu = document["wall_seconds"], document["cpu_seconds"]
    assert wall is not None
    assert cpu is not None
    assert wall >= 0.2
    assert cpu < wall / 2


def test_working_counts_or_waits_for_a_core() -> None:
    with ProcessUse() as use:
        end = time.perf_counter() + 0.3
        while time.perf_counter() < end:
            pass
    document = use.document()
    waited = document["waited_seconds"]
    assert waited is not None
    assert document["cpu_seconds"] + waited == pytest.approx(document["wall_seconds"], rel=0.4)


def test_threads_that_end_meanwhile_are_no_problem() -> None:
    with ProcessUse() as use:
        thread = threading.Thread(target=time.sleep, args=(0.05,))
        thread.start()
        thread.join()
    assert (use.document()["waited_seconds"] or 0.0) >= 0.0


@pytest.mark.slow
def test_what_came_before_the_split_is_told_apart() -> None:
    with ProcessUse() as use:
        end = time.perf_counter() + 0.2
        while time.perf_counter() < end:
            pass
        use.split()
        time.sleep(0.3)
    document = use.document()
    whole = document["whole_network"]
    assert 0.2 <= whole["wall_seconds"] < document["wall_seconds"] - 0.29
    assert whole["cpu_seconds"] == pytest.approx(document["cpu_seconds"], abs=0.1)


def test_before_its_end_there_is_no_document() -> None:
    use = ProcessUse()
    assert use.document() == {}
    with use:
        assert use.document() == {}
    assert set(use.document()) == {
        *("wall_seconds", "cpu_seconds", "waited_seconds", "involuntary_switches")
    }
