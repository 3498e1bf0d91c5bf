"""A cancelled run's jobs are stopped by its hook, which knows the flow run's id only."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from flows.hooks import stop_jobs
from platforms import Settings
from tasks.runs.names import resource_name
from tasks.runs.record import open_run, read_run
from tests.worlds.local.jobs import local_jobs

pytestmark = pytest.mark.slow

WAITS = """
import time
print("waiting", flush=True)
time.sleep(300)
"""


def cancelled(flow_run_id: str) -> None:
    unknown: Any = None
    stop_jobs(unknown, SimpleNamespace(id=flow_run_id), unknown)  # type: ignore[arg-type]


def test_the_hook_of_a_cancelled_run_stops_its_jobs_only(whippet_home, monkeypatch):
    monkeypatch.setenv("WHIPPET_JOB_PYTHON", sys.executable)
    jobs = local_jobs(whippet_home)
    mine = open_run(Settings(), "id-1", "l'été", {}, resume=False)
    other = open_run(Settings(), "id-2", "l'été", {}, resume=False)
    names = [resource_name(run, "train") for run in (mine, other)]
    try:
        for name in names:
            jobs.start(name, WAITS)
        for name in names:
            jobs.wait_for_line(name, "waiting")
        # A worker calls the hooks of its runs, and its own platform may be another.
        monkeypatch.setenv("WHIPPET_PLATFORM", "aws")
        cancelled("id-1")
        assert jobs.wait(names[0])["TrainingJobStatus"] == "Stopped"
        assert jobs.describe(names[1])["TrainingJobStatus"] == "InProgress"
        assert read_run(Settings(), mine.name).status == "cancelled"
        assert read_run(Settings(), other.name).status == "running"
        cancelled("id-1")
        cancelled("id-unknown")
    finally:
        jobs.platform.sagemaker.stop_training_job(TrainingJobName=names[1])
        jobs.wait(names[1])
