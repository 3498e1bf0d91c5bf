"""A job that takes more than it may is ended, with the reason; all others go on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import psutil
import pytest
from pydantic import ValidationError

from platforms.errors import SettingsError
from platforms.local.boundary.mechanism import choose
from platforms.local.connection import connect_local
from platforms.local.context import LocalContext
from platforms.local.hosting.endpoints import Endpoints
from platforms.settings import Settings, memory_bytes
from tests.worlds.local import searches
from tests.worlds.local.jobs import Jobs, local_settings
from tests.worlds.local.serving import make_config, make_context, wait_for_endpoint
from tests.worlds.waiting import wait_for

pytestmark = pytest.mark.slow

# 40 MiB every 50 ms, in a child: what counts is the sum.
GREEDY = """
import subprocess, sys, time
eat = "import time; a = []\\nwhile len(a) < 100: a.append(b'x' * 40 * 2**20); time.sleep(.05)"
subprocess.run([sys.executable, "-c", eat])
"""
# Every child leaves its parent at once; bounded, and asleep.
BOMB = """
import subprocess, sys, time
for _ in range(50):
    subprocess.run(["sh", "-c", "sleep 77.7531 & "])
    time.sleep(0.02)
time.sleep(60)
"""
MODEST = """
import subprocess, sys
children = [subprocess.Popen(["sleep", "0.5"]) for _ in range(9)]
kept = b"x" * 40 * 2**20
print('{"valid:loss": 1.5}', [child.wait() for child in children])
"""


def jobs_with(home: Path, mechanism: str, **limits: Any) -> Jobs:
    try:
        choose(mechanism, home)
    except SettingsError as error:
        pytest.skip(str(error))
    return Jobs(platform=connect_local(local_settings(home, boundary=mechanism, **limits)))


def sleepers() -> list[psutil.Process]:
    return [each for each in psutil.process_iter(["cmdline"]) if _sleeps(each)]


def _sleeps(process: psutil.Process) -> bool:
    return "77.7531" in (process.info["cmdline"] or [])


@pytest.mark.parametrize("mechanism", ["namespaces", "bubblewrap", "none"])
def test_a_job_that_eats_memory_is_ended(tmp_path: Path, mechanism: str) -> None:
    jobs = jobs_with(tmp_path, mechanism, job_memory="200M")
    jobs.start("modest", MODEST)
    job = jobs.run("greedy", GREEDY)
    assert job["TrainingJobStatus"] == "Failed"
    reason = job["FailureReason"]
    assert reason.startswith("AlgorithmError: the job was killed: it took ")
    assert "more than WHIPPET_JOB_MEMORY=200M" in reason
    assert reason.endswith(", exit code: 137")
    assert "[whippet] the job is killed: it took" in jobs.log("greedy")
    assert jobs.wait("modest")["TrainingJobStatus"] == "Completed"


@pytest.mark.parametrize("mechanism", ["namespaces", "bubblewrap", "none"])
def test_a_job_with_too_many_processes_is_ended(tmp_path: Path, mechanism: str) -> None:
    jobs = jobs_with(tmp_path, mechanism, job_processes=10)
    job = jobs.run("bomb", BOMB)
    assert job["TrainingJobStatus"] == "Failed"
    assert "processes at once, more than WHIPPET_JOB_PROCESSES=10" in job["FailureReason"]
    wait_for(lambda: not sleepers(), "end of all that the job started")
    # Ten are not too many: the entry point and nine children.
    modest = jobs.run("modest", MODEST)
    assert modest["TrainingJobStatus"] == "Completed", modest
    assert modest["FinalMetricDataList"][0]["Value"] == 1.5


def test_pip_is_limited_as_well(tmp_path: Path) -> None:
    jobs = jobs_with(tmp_path, "auto", job_memory="200M")
    # A package whose build eats memory; with no index, and nothing to fetch first.
    build = f"def get_requires_for_build_wheel(s=None):\n    exec({GREEDY!r}, {{}})\n"
    files = {
        "requirements.txt": "./greedy\n",
        "greedy/pyproject.toml": """
            [build-system]
            requires = []
            build-backend = "backend"
            backend-path = ["."]
            [project]
            name = "greedy"
            version = "1"
        """,
        "greedy/backend.py": build,
    }
    archive = jobs.upload("print('never')", **files)
    job = jobs.run("pip", "", HyperParameters={"sagemaker_submit_directory": archive})
    assert job["TrainingJobStatus"] == "Failed"
    assert "killed while pip installed requirements.txt: it took" in job["FailureReason"]
    assert "never" not in jobs.log("pip")


def test_a_model_server_that_eats_memory_is_ended(tmp_path: Path) -> None:
    context = make_context(tmp_path, boundary="auto", job_memory="150M")
    make_config(context, "one", "greedy")
    Endpoints(context).create_endpoint(EndpointName="one", EndpointConfigName="one")
    found = wait_for_endpoint(context, "one")
    assert found["EndpointStatus"] == "Failed"
    assert "the model server is killed: it took" in found["FailureReason"]
    assert "WHIPPET_JOB_MEMORY=150M" in found["FailureReason"]


def test_a_trial_is_limited_as_well(tmp_path: Path) -> None:
    unlimited = searches.make_context(tmp_path)
    settings = unlimited.settings.model_copy(update={"job_memory": "4G", "job_processes": 8})
    context = LocalContext(settings=settings, records=unlimited.records)
    name = searches.create(context, searches.tuning_request("t", jobs=1, parallel=1))
    assert searches.ended(context, name)["HyperParameterTuningJobStatus"] == "Completed"
    (trial,) = searches.trials(context, name)
    record = context.records.read("training-jobs", trial["TrainingJobName"])
    assert record["Local"]["Limits"] == {"job_memory": "4G", "job_processes": 8}


def test_limits_that_are_none_are_refused(tmp_path: Path) -> None:
    for bad in ("lots", "8", "-1G", "0", "1K", "", "8 PB"):
        with pytest.raises(ValidationError, match=r"(?s)job_memory.*8G"):
            Settings(home=tmp_path, job_memory=bad)
    for bad in ("many", "0", "-3", "2.5", ""):
        with pytest.raises(ValidationError, match=r"(?s)job_processes.*such as 64"):
            Settings(home=tmp_path, job_processes=bad)  # type: ignore[arg-type]
    assert memory_bytes("8G") == memory_bytes("8GiB") == memory_bytes("8 gb") == 8 * 1024**3
    assert memory_bytes("1.5g") == 3 * 512 * 1024**2


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHIPPET_JOB_MEMORY", " 512M ")
    monkeypatch.setenv("WHIPPET_JOB_PROCESSES", "64")
    assert Settings().job_limits == {"job_memory": "512M", "job_processes": 64}
