"""No call that the instrumentation makes can end a training, or change what it learns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sm_entrypoints.faults import ERRORS, MEASURING

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[3]
# Told elsewhere: saved_tensors.json has a note; without the disks' counters there are none.
_QUIET = ("saved_tensors", "counters")
# A machine without a GPU asks for it once; without a fault nothing else of it runs.
_HARDLY_RUN = frozenset({"gpus", "reduction_file", "stride", "watching", "workers"})
# It calls nothing of others: the contract writes its table.
_OF_OURS_ALONE = frozenset({"operator_table"})


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """Return what became of a training without a fault, then with one in each call."""
    folder = tmp_path_factory.mktemp("faults")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.sm_entrypoints.faults", str(folder)],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT)},
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_fault_in_any_call_leaves_the_training_as_it_is(tried: list[dict[str, Any]]) -> None:
    whole, *faults = tried
    assert whole == {"failure": None, "same": True}
    assert [fault for fault in faults if fault["ended"] or not fault["same"]] == []


def test_every_instrument_was_hit_by_every_kind_of_error(tried: list[dict[str, Any]]) -> None:
    hit = [fault for fault in tried[1:] if fault["happened"]]
    assert len(hit) > 100
    assert len(hit) > 0.95 * len(tried)
    assert {fault["file"] for fault in hit} >= set(MEASURING) - _HARDLY_RUN - _OF_OURS_ALONE
    assert {fault["error"] for fault in hit} == {type(error).__name__ for error in ERRORS}
    third_party = ("torch.", "numpy.", "psutil.", "smdebug.", "gzip.", "threading.", "pathlib.")
    called = [fault["call"].split(" calls ")[1] for fault in hit]
    assert [name for name in third_party if not any(c.startswith(name) for c in called)] == []


def test_what_is_switched_off_is_said_in_one_line(tried: list[dict[str, Any]]) -> None:
    loud = [each for each in tried[1:] if each["happened"] and each["file"] not in _QUIET]
    told = [
        each
        for each in loud
        if len(each["printed"]) == 1 and "; training continues." in each["printed"][0]
    ]
    assert [each for each in loud if each not in told] == []
