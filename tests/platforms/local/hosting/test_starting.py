"""A deployment whose creator was killed before it had a supervisor."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from platforms.local.hosting.starting import start_deployment
from platforms.processes.process import ProcessId, alive, identify
from sm_entrypoints.contract.kill_points import VARIABLE, killed, order_kill
from tests.worlds.local.serving import make_config, serving_context, wait_for_endpoint
from tests.worlds.waiting import wait_for

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[4]
CREATE = """
import sys
from pathlib import Path
from platforms.local.context import local_context
from platforms.local.hosting.endpoints import Endpoints
from platforms.settings import Settings
settings = Settings(home=Path(sys.argv[1]), job_python=Path(sys.argv[2]), boundary="none")
Endpoints(local_context(settings)).create_endpoint(EndpointName="e", EndpointConfigName="c")
"""


@pytest.fixture
def context(tmp_path):
    with serving_context(tmp_path) as context:
        make_config(context, "c", "fine")
        yield context


def create_and_die(context, tmp_path, point: str) -> None:
    order_kill(tmp_path / "points", role="runner", point=point)
    command = [sys.executable, "-c", CREATE, str(context.home), str(context.settings.job_python)]
    environment = {**os.environ, VARIABLE: str(tmp_path / "points"), "PYTHONPATH": str(ROOT)}
    found = subprocess.run(command, env=environment, check=False)
    assert found.returncode == -signal.SIGKILL
    assert killed(tmp_path / "points")


@pytest.mark.parametrize("point", ["endpoints: created", "supervisor: started"])
def test_it_is_started_by_whoever_looks_and_by_nobody_else(context, tmp_path, point):
    create_and_die(context, tmp_path, point)
    assert wait_for_endpoint(context, "e")["EndpointStatus"] == "InService"
    pending = context.records.read("endpoints", "e")["Local"]["Server"]
    assert alive(ProcessId.from_record(pending["Group"]))


def test_a_supervisor_that_comes_late_leaves_it_to_the_other(context, tmp_path):
    create_and_die(context, tmp_path, "endpoints: created")
    pending = context.records.read("endpoints", "e")["Local"]["Pending"]
    # By hand: this process stands for the supervisor that whoever looked has started.
    context.records.update(
        "endpoints",
        "e",
        lambda record: {
            **record,
            "Local": {**record["Local"], "Pending": {**pending, "Group": _own().to_record()}},
        },
    )
    assert not alive(ProcessId.from_record(pending["Starter"]))
    start_deployment(context, "e", pending)
    log = context.records.folder("endpoints", "e") / "supervisor.log"
    wait_for(log.exists, "log of the late supervisor")
    wait_for(lambda: not _supervisors(context), "end of the late supervisor")
    record = context.records.read("endpoints", "e")
    assert record["EndpointStatus"] == "Creating"
    assert record["Local"]["Pending"]["Group"] == _own().to_record()


def _own() -> ProcessId:
    return identify(os.getpid())


def _supervisors(context) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if "platforms.local.hosting.supervisor" in words and str(context.home) in words:
            found.append(process.pid)
    return found
