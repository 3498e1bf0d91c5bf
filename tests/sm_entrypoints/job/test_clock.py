"""The job's clock: laps add up to the total, and a process knows its age."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from sm_entrypoints.job.clock import Clock


def test_laps_add_up_to_the_total() -> None:
    clock = Clock.start()
    time.sleep(0.02)
    first = clock.lap()
    time.sleep(0.01)
    before = clock.total()
    laps = first + clock.lap()
    assert first >= 0.02
    assert before - 1e-6 <= laps <= clock.total() + 1e-6


def test_the_first_lap_has_what_went_before() -> None:
    clock = Clock.start(age=2.0)
    assert 2 <= clock.lap() < 2.5
    assert clock.lap() < 0.5
    assert 2 <= clock.total() < 3


def test_the_age_of_a_process_includes_its_imports() -> None:
    code = (
        "import time; time.sleep(0.3); from sm_entrypoints.job.clock import *; print(process_age())"
    )
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).resolve().parents[3],
        timeout=600,
    )
    assert 0.3 <= float(done.stdout) <= time.perf_counter() - began + 0.05
