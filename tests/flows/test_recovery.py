"""What only a server with its services does: schedules that fire, and signs of life."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from cli.server import is_healthy
from tests.conftest import AWKWARD
from tests.flows.pipeline import Whippet, tiny_data, wait_for
from tests.flows.workers import (
    PREFECT,
    deploy_all,
    deployment_id,
    engine_of,
    running_worker,
    start_run,
    state_of,
)

pytestmark = [pytest.mark.slow, pytest.mark.job]


@contextmanager
def running_server(root: Path) -> Iterator[Whippet]:
    """Run a Prefect server of its own, with everything that `whippet up` starts."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    whippet = Whippet(
        home=root / "whippet home",
        api_url=f"http://127.0.0.1:{port}/api",
        extra={
            "PREFECT_HOME": str(root / "prefect"),
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "5",
        },
    )
    (root / "prefect").mkdir(parents=True)
    with (root / "server.txt").open("w") as out:
        process = subprocess.Popen(
            [PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env=whippet.environment,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    try:
        wait_for(lambda: is_healthy(whippet.api_url), "Prefect server")
        yield whippet
    finally:
        whippet.shut_down()
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(30)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(10)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Whippet]:
    with running_server(tmp_path_factory.mktemp("recovery") / AWKWARD) as whippet:
        deploy_all(whippet)
        yield whippet


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return tiny_data(tmp_path_factory.mktemp("pictures") / 'my "photos" è')


def parameters(data: Path) -> dict[str, object]:
    model = {"architecture": "mobilenet_v3_small", "weights": "none", "image_size": 32}
    return {"data": {"path": str(data)}, "model": model}


def test_a_schedule_fires(server, data, tmp_path):
    url, deployment = server.api_url, deployment_id(server, "sync-data")
    schedules = f"{url}/deployments/{deployment}/schedules"
    often = {"schedule": {"interval": 15}, "active": True, "parameters": parameters(data)}
    (made,) = httpx.post(schedules, json=[often]).raise_for_status().json()
    chosen = {
        "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
        "deployments": {"id": {"any_": [deployment]}},
    }

    def completed() -> list[bool]:
        found = httpx.post(f"{url}/flow_runs/filter", json=chosen).raise_for_status().json()
        return [True for run in found if run["auto_scheduled"]]

    with running_worker(server, tmp_path):
        try:
            wait_for(completed, "scheduled flow run")
        finally:
            # 503 while the scheduler holds the database.
            wait_for(lambda: httpx.delete(f"{schedules}/{made['id']}").is_success, "deletion")


def test_a_run_whose_worker_was_killed_too_goes_on(server, data, tmp_path):
    asked = {**parameters(data), "training": {"epochs": 400, "hyperparameters": {"patience": 0}}}
    with running_worker(server, tmp_path) as worker:
        flow_run = start_run(server, "train-model", parameters=asked, name="all killed")
        (job,) = wait_for(server.jobs, "training job")
        worker.kill()
        wait_for(lambda: engine_of(flow_run), "process of the flow run").kill()
    # Nobody was left to say so.
    assert state_of(server, flow_run) == "RUNNING"
    with running_worker(server, tmp_path):

        def goes_on() -> bool:
            recovery = {"request": {"silent_seconds": 60, "settled_seconds": 0}}
            once = start_run(server, "recover-runs", parameters=recovery)
            wait_for(lambda: state_of(server, once) in ("COMPLETED", "CANCELLED"), "recovery")
            found = httpx.get(f"{server.api_url}/flow_runs/{flow_run}").json()
            return bool(found["run_count"] == 2)

        wait_for(goes_on, "second start of the flow run")
        wait_for(lambda: server.record("all killed")["status"] == "running", "the record")
        assert list(server.jobs()) == [job]
        server.platform.sagemaker.stop_training_job(TrainingJobName=job)
        wait_for(lambda: state_of(server, flow_run) == "FAILED", "end of the flow run")
