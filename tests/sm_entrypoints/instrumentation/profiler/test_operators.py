"""The window of torch.profiler: where it lies, what it leaves, and that it never raises."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from torch.profiler import ProfilerActivity, profile

from sm_entrypoints.contract import OPERATOR_COLUMNS, STEP_PHASES
from sm_entrypoints.instrumentation.phases import StepRecorder
from sm_entrypoints.instrumentation.profiler.operators import MOST_STEPS, OperatorWindow
from tests.sm_entrypoints.instrumentation.profiler.operator_runs import Run


@pytest.mark.parametrize(
    ("steps_per_epoch", "epochs", "watched", "window"),
    [
        (5, 3, set(), [6, 6]),
        (5, 3, {1, 2}, [8, 8]),
        (40, 1, set(), [10, 10]),
        (6, 1, set(), [3, 3]),
        (2, 2, set(), [3, 3]),
        (1, 4, set(), None),
        (1, 1, set(), None),
    ],
)
def test_a_short_training_is_profiled_for_one_step(
    tmp_path: Path, steps_per_epoch: int, epochs: int, watched: set[int], window: list[int] | None
) -> None:
    run = Run(tmp_path, steps_per_epoch, epochs)
    summary = run.whole(watched=frozenset(watched))
    assert run.window.failure is None
    if window is None:
        assert summary is None
        assert not (tmp_path / "operators.csv").exists()
        return
    assert summary is not None
    assert summary["window"] == window == [run.profiled[0], run.profiled[-1]]
    assert summary["steps"] == len(run.profiled) == 1
    assert 0 < summary["overhead_seconds"] < 5


def test_a_long_training_is_profiled_for_more_steps(tmp_path: Path) -> None:
    run = Run(tmp_path, 2000, 1000)
    run.window.schedule(*run.shape)
    run.window.begin_epoch(training=True)
    run.steps.begin_epoch(1, "TRAIN")
    with run.steps.phase("forward"):
        time.sleep(0.002)
    run.steps.end_step(1)
    run.window.begin_epoch(training=True)
    for _ in range(10):
        run.step(seconds=0.002)
    summary = run.window.summary()
    run.steps.close()
    assert summary is not None
    assert summary["steps"] == MOST_STEPS
    assert summary["window"] == [2, 4]


def test_what_it_leaves_is_a_trace_and_a_table(tmp_path: Path) -> None:
    folder = tmp_path / "the job's été"
    summary = Run(folder, 5, 2).whole()
    assert summary is not None
    packed = (folder / "trace.json.gz").read_bytes()
    assert summary["trace_bytes"] == len(packed)
    trace = json.loads(gzip.decompress(packed))
    spans = [event for event in trace["traceEvents"] if event["ph"] == "X"]
    # What Perfetto's importer of Chrome traces reads of a complete event.
    for event in spans:
        assert isinstance(event["name"], str)
        assert event["ts"] > 0
        assert event["dur"] >= 0
        assert {"pid", "tid"} <= set(event)
    # The step, a phase, an operator and what that calls.
    assert max(_open_as_perfetto_does(trace["traceEvents"]).values()) >= 4
    marks = {event["name"] for event in spans if event["cat"] == "user_annotation"}
    assert marks == {*STEP_PHASES, "ProfilerStep#6"}
    with (folder / "operators.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == OPERATOR_COLUMNS
    linear = next(row for row in rows if row["name"] == "aten::linear")
    assert linear["calls"] == str(len(STEP_PHASES))
    assert sum(float(row["share"]) for row in rows) == pytest.approx(1, abs=1e-4)
    own = [float(row["self_cpu_seconds"]) for row in rows]
    assert own == sorted(own, reverse=True)
    assert {path.name for path in folder.iterdir()} == {
        "operators.csv",
        "steps.csv",
        "trace.json.gz",
    }


def _open_as_perfetto_does(events: list[dict[str, Any]]) -> dict[Any, int]:
    """Stack the slices of each thread; return how deep each thread goes.

    Perfetto's importer of the trace event format keeps one stack a thread and drops slices that
    begin inside another one and end outside; flow arrows need both of their ends.
    """
    threads: dict[Any, list[tuple[float, float]]] = {}
    arrows: dict[Any, list[float]] = {}
    for event in events:
        if event["ph"] == "X":
            slices = threads.setdefault((event["pid"], event["tid"]), [])
            slices.append((event["ts"], -event["dur"]))
        elif event["ph"] in "sf":
            # Arrows to backward passes and to GPUs are numbered apart.
            arrows.setdefault((event["cat"], event["id"]), []).append(event["ts"])
    assert all(len(ends) == 2 for ends in arrows.values())
    deepest = {}
    for thread, slices in threads.items():
        stack: list[float] = []
        for start, minus_seconds in sorted(slices):
            # A nanosecond: times are in microseconds with three digits.
            while stack and stack[-1] <= start + 1e-3:
                stack.pop()
            assert not stack or start - minus_seconds <= stack[-1] + 1e-3
            stack.append(start - minus_seconds)
            deepest[thread] = max(deepest.get(thread, 0), len(stack))
    return deepest


def test_a_window_cut_short_keeps_its_whole_steps(tmp_path: Path) -> None:
    run = Run(tmp_path, 2000, 1000)
    run.window.schedule(*run.shape)
    run.epoch(1)
    run.window.begin_epoch(training=True)
    run.steps.begin_epoch(2, "TRAIN")
    run.step(seconds=0.001)
    assert run.window.active
    run.step()
    run.window.annotate("forward", nullcontext()).__enter__()  # and then SIGTERM
    run.window.close()
    summary = run.window.summary()
    assert summary is not None
    assert summary["steps"] == 1
    assert (tmp_path / "operators.csv").exists()
    run.window.close()
    run.steps.close()
    assert not run.window.active


def test_a_window_without_a_whole_step_leaves_nothing(tmp_path: Path) -> None:
    run = Run(tmp_path, 6, 1)
    run.window.schedule(*run.shape)
    run.window.begin_epoch(training=True)
    for _ in range(3):
        run.step()
    assert run.window.active
    run.window.close()
    run.steps.close()
    assert run.window.summary() is None
    assert [path.name for path in tmp_path.iterdir()] == ["steps.csv"]


def test_a_training_that_profiles_itself_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path, 6, 2)
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as theirs:
        assert run.whole() is None
    assert run.steps.counts["TRAIN"] == 12
    assert run.window.failure is not None
    assert capsys.readouterr().out.count("training continues") == 1
    assert "another profiler" in run.window.failure
    assert any(row.key == "aten::linear" for row in theirs.key_averages())


def test_a_folder_that_went_away_ends_the_window_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(tmp_path / "job", 6, 2)
    run.window._folder = tmp_path / "gone"
    assert run.whole() is None
    assert run.window.failure is not None
    assert capsys.readouterr().out.count("torch.profiler switched off") == 1
    with profile(activities=[ProfilerActivity.CPU]):  # ours is stopped: another one can run
        pass


def test_waiting_for_the_window_costs_nothing(tmp_path: Path) -> None:
    steps = StepRecorder(tmp_path / "steps.csv")
    window = OperatorWindow(tmp_path, steps)
    window.schedule(1_000_000, 5)
    window.begin_epoch(training=True)
    count, timer = 5000, nullcontext()
    began = time.process_time()
    for _ in range(count):
        for name in STEP_PHASES:
            window.annotate(name, timer)
        window.after_step(0.01, watched=False)
    cost = (time.process_time() - began) / count
    steps.close()
    # 0.2% of a step of 10 ms.
    assert cost < 20e-6, cost


QUIET = """
import sys
from pathlib import Path
from tests.sm_entrypoints.instrumentation.profiler.operator_runs import Run
assert Run(Path(sys.argv[1]), 5, 2).whole()
"""


@pytest.mark.slow
def test_kineto_says_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", QUIET, str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).resolve().parents[4],
        timeout=600,
        check=True,
    )
    assert done.stdout == ""
    assert done.stderr == ""
