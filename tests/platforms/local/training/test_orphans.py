"""Nothing of a job outlives it, and nothing outlives its killed supervisor."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from platforms.local.connection import connect_local
from platforms.processes.marks import MARK_VARIABLE
from platforms.processes.process import ProcessId
from tests.worlds.local.jobs import Jobs, local_settings
from tests.worlds.waiting import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="/proc, prctl and namespaces"),
]

# Each of the strays is in a session of its own; one also cleared its environment.
RUNS_AWAY = """
import os, subprocess, sys, time
code = "import time; time.sleep(300)  # {stray}"
subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
bare = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', %r], env={{}})" % code
subprocess.run([sys.executable, "-c", bare], start_new_session=True, env={{}})
print("away", flush=True)
{then}
"""


def jobs_of(home: Path, boundary: str) -> Jobs:
    return Jobs(platform=connect_local(local_settings(home, boundary=boundary)))


def strays(name: str) -> list[psutil.Process]:
    """Return the processes that such a job has started and that still run."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or ())
        if f"# {name}" in line and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def script(stray: str, then: str) -> str:
    return RUNS_AWAY.format(stray=stray, then=then)


@pytest.mark.parametrize("boundary", ["none", "auto"])
def test_what_left_the_session_ends_with_the_job(tmp_path, boundary):
    stray = f"stray of {tmp_path.name}"
    jobs = jobs_of(tmp_path / "home", boundary)
    jobs.start("job", script(stray, then="sys.exit(0)"))
    assert jobs.wait("job")["TrainingJobStatus"] == "Completed"
    assert "away" in jobs.log("job")
    assert strays(stray) == []


def test_what_left_the_session_ends_when_somebody_looks_after_a_killed_supervisor(tmp_path):
    stray = f"stray of {tmp_path.name}"
    jobs = jobs_of(tmp_path / "home", "none")
    jobs.start("job", script(stray, then="time.sleep(300)"))
    jobs.wait_for_line("job", "away")
    os.kill(supervisor_of(jobs).pid, signal.SIGKILL)
    assert jobs.wait("job")["TrainingJobStatus"] == "Failed"
    # One that also cleared its environment bears no mark: nothing knows it any more.
    left = strays(stray)
    unmarked = [each for each in left if MARK_VARIABLE not in each.environ()]
    for process in left:
        process.kill()
    assert left == unmarked
    assert len(left) <= 1


def test_a_contained_job_dies_with_its_supervisor_though_nobody_looks(tmp_path):
    jobs = jobs_of(tmp_path / "home", "auto")
    if jobs.context.boundary().name != "namespaces":
        pytest.skip("this machine gives us no namespaces")
    stray = f"stray of {tmp_path.name}"
    jobs.start("job", script(stray, then="time.sleep(300)"))
    jobs.wait_for_line("job", "away")
    assert len(strays(stray)) == 2
    os.kill(supervisor_of(jobs).pid, signal.SIGKILL)
    wait_for(lambda: not strays(stray), "end of the job's processes")


def supervisor_of(jobs: Jobs) -> ProcessId:
    record = jobs.context.records.read("training-jobs", "job")
    return ProcessId.from_record(record["Local"]["Supervisor"])
