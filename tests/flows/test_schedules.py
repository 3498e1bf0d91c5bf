"""What only a server with its services does: schedules that fire."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.server import is_healthy
from tests.conftest import AWKWARD
from tests.flows.pipeline import Whippet, tiny_data, wait_for
from tests.flows.workers import (
    PREFECT,
    ask,
    deploy_all,
    deployment_id,
    running_worker,
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
    deployment = deployment_id(server, "sync-data")
    schedules = f"/deployments/{deployment}/schedules"
    often = {"schedule": {"interval": 15}, "active": True, "parameters": parameters(data)}
    (made,) = ask(server, "POST", schedules, json=[often]).json()
    chosen = {
        "flow_runs": {"state": {"type": {"any_": ["COMPLETED"]}}},
        "deployments": {"id": {"any_": [deployment]}},
    }

    def completed() -> list[bool]:
        found = ask(server, "POST", "/flow_runs/filter", json=chosen).json()
        return [True for run in found if run["auto_scheduled"]]

    with running_worker(server, tmp_path):
        try:
            wait_for(completed, "scheduled flow run")
        finally:
            ask(server, "DELETE", f"{schedules}/{made['id']}")
