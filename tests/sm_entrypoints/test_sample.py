"""The sampler beside a job: no torch, ends with its starter, makes way for the job's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.worlds.waiting import wait_for

PROGRAM = Path(__file__).parents[2] / "sm_entrypoints" / "sample.py"


def start(folder: Path, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(PROGRAM), str(folder), "--interval-ms", "100", *options]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE)


def lines(folder: Path) -> list[dict[str, Any]]:
    files = sorted(folder.glob("*/*.algo-1.json"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


def wait_for_samples(folder: Path) -> None:
    wait_for(lambda: list(folder.glob("*/*.json")), "sample", pause=0.02)


def test_it_samples_until_its_starter_is_gone(tmp_path: Path) -> None:
    process = start(tmp_path / "é 1", "--pid", str(os.getpid()))
    wait_for_samples(tmp_path / "é 1")
    time.sleep(0.2)  # A last sample over less than 50 ms is not taken.
    _, complaints = process.communicate(timeout=120)  # closes its stdin
    assert (process.returncode, complaints) == (0, b"")
    found = lines(tmp_path / "é 1")
    moments = sorted({each["Timestamp"] for each in found})
    assert len(moments) >= 2, "the last sample is taken at the end"
    kinds = {(each["Type"], each["Name"], each["Dimension"]) for each in found}
    assert ("cpu", "cpu0", "CPUUtilization") in kinds
    assert ("memory", "MemoryUsedPercent", "") in kinds
    ours = [each["Value"] for each in found if each["Name"] == "ProcessMemoryBytes"]
    assert min(ours) > 20e6, "the memory of this test, which has torch"


@pytest.mark.slow
def test_it_makes_way_for_a_job_that_samples_itself(tmp_path: Path) -> None:
    own = tmp_path / "own"
    process = start(tmp_path / "theirs", "--pid", str(os.getpid()), "--unless", str(own))
    wait_for_samples(tmp_path / "theirs")
    assert process.poll() is None
    own.mkdir()
    assert process.wait(120) == 0
    process.communicate()


@pytest.mark.slow
def test_it_says_why_it_cannot(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    process = start(tmp_path / "file" / "folder", "--pid", str(os.getpid()))
    assert process.wait(120) == 1
    _, complaints = process.communicate()
    assert b"NotADirectoryError" in complaints


def test_it_needs_no_torch() -> None:
    look = f"import runpy, sys; runpy.run_path({str(PROGRAM)!r}); print('torch' in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM.parents[1])}
    found = subprocess.run(
        [sys.executable, "-c", look], env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == "False"
