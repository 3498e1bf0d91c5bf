"""A small part of `make test-faults`: the kills that once were faults."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_killed_process_costs_nothing_twice_and_loses_nothing():
    command = [sys.executable, "-m", "tests.faults", "kills", "training", "cancel", "--few"]
    # A process of its own: it forks what it kills, which no process with threads may do.
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    boundaries, schedules, _, _, violations, _ = found.stdout.splitlines()[-1].split()[1:]
    assert int(boundaries) == int(schedules) >= 3
    assert int(violations) == 0
