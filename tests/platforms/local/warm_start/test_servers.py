"""A model server that starts warm sees, answers and ends exactly as one that starts cold."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from platforms.local.client import LocalSageMaker
from platforms.local.connection import connect_local
from platforms.local.context import LocalContext, local_context
from platforms.local.hosting.endpoints import Endpoints
from platforms.local.hosting.runtime import LocalRuntime
from platforms.local.warm_start.client import end_all
from platforms.processes.process import ProcessId, alive, group_alive
from platforms.settings import Settings
from tests.worlds.job_environment import JOB_PYTHON, needs_job_environment
from tests.worlds.local.serving import ROLE, put_archive, wait_for_endpoint
from tests.worlds.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.job, needs_job_environment]

HANDLERS = b"""
import json, os, signal, sys

WARM = "torchvision.transforms.v2" in sys.modules  # the server itself does not import it


def model_fn(model_dir):
    return None


def predict_fn(data, model):
    with open("/proc/self/cmdline") as command, open("/proc/self/environ") as environment:
        shown = [command.read().split("\\0"), sorted(environment.read().split("\\0"))]
    same = {
        "environ": dict(os.environ), "shown": shown, "cwd": os.getcwd(), "argv": sys.argv,
        "orig_argv": sys.orig_argv, "path": sys.path, "streams": sys.stdout.encoding,
        "leads": os.getpgid(0) == os.getpid(), "ids": [os.getpid(), os.getppid(), os.getuid()],
        "files": sorted(os.listdir("/opt/ml/model")), "tmp": os.listdir("/tmp"),
        "mask": sorted(map(str, signal.pthread_sigmask(signal.SIG_BLOCK, ()))),
        "main": sys.modules["__main__"].__file__,
    }
    return {"warm": WARM, "same": same}


def input_fn(data, content_type):
    return bytes(data)


def output_fn(prediction, accept):
    return json.dumps(prediction), accept
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir="/var/tmp"))
    yield folder
    context = connected(folder, "all")
    for name in context.records.names("endpoints"):
        Endpoints(context).delete_endpoint(EndpointName=name)
    end_all(folder)
    shutil.rmtree(folder)


def connected(home: Path, warm_start: Any) -> LocalContext:
    return local_context(Settings(home=home, job_python=JOB_PYTHON, warm_start=warm_start))


@pytest.fixture(scope="module")
def warm(home: Path) -> LocalContext:
    """A home in which a copy waits."""
    context = connected(home, "all")
    connect_local(context.settings).expect_jobs()
    wait_for(lambda: list((home / "warm").glob("*/socket")), "copy")
    return context


def deploy(context: LocalContext, name: str) -> dict[str, Any]:
    """Deploy a model that tells what it sees; return what it told."""
    sagemaker = LocalSageMaker(context)
    container = {
        "Image": "image:1",
        "ModelDataUrl": put_archive(context, "model.tar.gz", {"code/inference.py": HANDLERS}),
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
    }
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": name,
        "InitialInstanceCount": 1,
        "InstanceType": "ml.t2.medium",
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    assert wait_for_endpoint(context, name)["EndpointStatus"] == "InService"
    return asked(context, name)


def asked(context: LocalContext, name: str) -> dict[str, Any]:
    answer = LocalRuntime(context).invoke_endpoint(EndpointName=name, Body=b"x")
    told: dict[str, Any] = json.loads(answer["Body"].read())
    return told


def processes(context: LocalContext, name: str) -> tuple[ProcessId, ProcessId]:
    """Return the server and its supervisor, which leads their group."""
    server = context.records.read("endpoints", name)["Local"]["Server"]
    return ProcessId.from_record(server["Process"]), ProcessId.from_record(server["Group"])


def test_a_server_sees_the_same_and_ends_with_its_endpoint(warm: LocalContext, home: Path) -> None:
    first, second = deploy(warm, "one"), deploy(connected(home, "off"), "two")
    assert [first["warm"], second["warm"]] == [True, False]
    assert first["same"] == second["same"]
    server, group = processes(warm, "one")
    assert os.getpgid(server.pid) == group.pid
    assert psutil.Process(server.pid).ppid() == group.pid
    log = warm.records.folder("endpoints", "one") / "supervisor.log"
    assert log.read_text(encoding="utf-8") == ""
    Endpoints(warm).delete_endpoint(EndpointName="one")
    assert not group_alive(group.pid)
    assert not alive(server)


def test_a_server_that_is_killed_is_started_again(warm: LocalContext) -> None:
    told = deploy(warm, "killed")
    assert told["warm"]
    before, group = processes(warm, "killed")
    psutil.Process(before.pid).kill()
    wait_for(lambda: answers_anew(warm, before), "another server")
    again = asked(warm, "killed")
    assert not again["warm"]
    assert again["same"] == told["same"]
    assert processes(warm, "killed")[1] == group


def answers_anew(context: LocalContext, before: ProcessId) -> bool:
    server = context.records.read("endpoints", "killed")["Local"]["Server"]
    return bool(server["Process"]) and ProcessId.from_record(server["Process"]) != before


def test_a_model_of_a_stranger_starts_cold_unless_the_user_said_all(
    warm: LocalContext, home: Path
) -> None:
    assert not deploy(connected(home, "ours"), "of-a-stranger")["warm"]
