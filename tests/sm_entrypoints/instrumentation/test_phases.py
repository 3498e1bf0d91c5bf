"""Rows of steps.csv: their columns, their numbering, and what the phases add up to."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import pytest

from sm_entrypoints.contract import STEP_COLUMNS, STEP_PHASES
from sm_entrypoints.instrumentation.phases import StepRecorder


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_steps_are_numbered_by_mode_and_phases_add_up(tmp_path: Path) -> None:
    path = tmp_path / "steps.csv"
    recorder = StepRecorder(path)
    before = time.time()
    for epoch in (1, 2):
        recorder.begin_epoch(epoch, "TRAIN")
        for _ in range(2):
            for name in STEP_PHASES:
                with recorder.phase(name):
                    time.sleep(0.002)
            recorder.end_step(4)
        recorder.begin_epoch(epoch, "EVAL")
        with recorder.phase("forward"):
            pass
        recorder.end_step(3)
    recorder.close()
    rows = _rows(path)
    assert tuple(rows[0]) == STEP_COLUMNS
    assert [(r["step"], r["epoch"], r["mode"], r["samples"]) for r in rows] == [
        ("0", "1", "TRAIN", "4"),
        ("1", "1", "TRAIN", "4"),
        ("0", "1", "EVAL", "3"),
        ("2", "2", "TRAIN", "4"),
        ("3", "2", "TRAIN", "4"),
        ("1", "2", "EVAL", "3"),
    ]
    assert all(float(rows[0][name]) >= 0.002 for name in STEP_PHASES)
    assert before <= float(rows[0]["started"]) <= float(rows[1]["started"]) <= time.time()
    summary = recorder.summary()
    assert summary["steps"] == {"TRAIN": 4, "EVAL": 2}
    phases = summary["phase_seconds"]
    assert isinstance(phases, dict)
    written = sum(float(row["backward"]) for row in rows)
    assert phases["TRAIN"]["backward"] == pytest.approx(written, abs=1e-5)
    percentiles = summary["step_seconds"]
    assert isinstance(percentiles, dict)
    assert 0.01 <= percentiles["p50"] <= percentiles["p95"] <= percentiles["max"]


def test_a_phase_entered_twice_adds_up_and_own_time_is_taken_out(tmp_path: Path) -> None:
    recorder = StepRecorder(tmp_path / "steps.csv")
    recorder.begin_epoch(1, "TRAIN")
    began = time.perf_counter()
    for _ in range(2):
        with recorder.phase("forward"):
            time.sleep(0.01)
    recorder.exclude("forward", 0.005)
    assert 0.015 <= recorder.end_step(1) < time.perf_counter() - began - 0.005
    recorder.exclude("forward", 10)
    assert recorder.end_step(1) == 0
    recorder.close()


def test_an_error_in_the_training_passes_through_the_timer(tmp_path: Path) -> None:
    recorder = StepRecorder(tmp_path / "steps.csv")
    with pytest.raises(RuntimeError, match="training"), recorder.phase("forward"):
        raise RuntimeError("training")
    recorder.close()


def test_unknown_names_are_refused(tmp_path: Path) -> None:
    recorder = StepRecorder(tmp_path / "steps.csv")
    with pytest.raises(KeyError):
        recorder.phase("lunch")
    with pytest.raises(ValueError, match="TRAIN"):
        recorder.begin_epoch(1, "train")
    recorder.close()
