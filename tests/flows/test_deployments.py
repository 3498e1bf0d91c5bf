"""The flows as deployments: deployed, run and cancelled by a worker, as the README says."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.flows.pipeline import ROOT, Ended, Whippet, ended, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.job]

POOL = "whippet"


def prefect(whippet: Whippet, *argv: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("prefect")), *argv],
        cwd=ROOT,
        env={**whippet.environment, "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )


def run_prefect(whippet: Whippet, *argv: str) -> Ended:
    found = ended(prefect(whippet, *argv))
    assert found.code == 0, found.out
    return found


@pytest.fixture(scope="module")
def worker(released, tmp_path_factory) -> Iterator[Whippet]:
    """A worker in a folder that is not the project's, over every deployment of prefect.yaml."""
    whippet = released.whippet
    run_prefect(whippet, "work-pool", "create", POOL, "--type", "process")
    deployed = run_prefect(whippet, "--no-prompt", "deploy", "--all")
    assert "release-model/default" in deployed.out
    log = tmp_path_factory.mktemp("worker") / "log.txt"
    with log.open("w") as out:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("prefect")), "worker", "start", "--pool", POOL],
            cwd=log.parent,
            env={**whippet.environment, "PREFECT_WORKER_QUERY_SECONDS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
        try:
            yield whippet
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait(10)
            print(log.read_text("utf-8"))


def test_every_flow_is_deployed(worker):
    found = httpx.post(f"{worker.api_url}/deployments/filter", json={}).raise_for_status().json()
    entrypoints = {d["entrypoint"] for d in found if d["name"] == "default"}
    files = {path.stem for path in (ROOT / "flows").glob("*.py")} - {"__init__", "policy"}
    assert entrypoints == {f"flows.{name}.{name}" for name in files}
    assert {d["work_pool_name"] for d in found} == {POOL}
    active = {d["entrypoint"]: [s["active"] for s in d["schedules"]] for d in found}
    assert active["flows.clean_up.clean_up"] == [True]
    assert active["flows.release_model.release_model"] == [False]


def test_a_worker_runs_a_deployment_to_its_end(worker, released):
    query = released.record["query"]
    request = f'request={{"endpoint": "{released.record["endpoint"]["endpoint"]}", '
    request += f'"image": "{query["file"].replace(chr(34), chr(92) + chr(34))}"}}'
    found = run_prefect(
        worker, "deployment", "run", "query-endpoint/default", "-p", request, "--watch"
    )
    assert "Completed" in found.out
    chosen = {"artifacts": {"key": {"any_": ["query"]}}, "sort": "CREATED_DESC", "limit": 1}
    answer = httpx.post(f"{worker.api_url}/artifacts/filter", json=chosen).json()[0]["data"]
    assert query["predictions"][0]["label"] in answer
    assert released.record["endpoint"]["endpoint"] in answer


def test_cancelling_a_deployments_run_stops_its_job(worker, released):
    url, before = worker.api_url, worker.jobs()
    parameters = {
        "data": {"path": str(released.data)},
        "model": {"architecture": "mobilenet_v3_small", "weights": "none", "image_size": 32},
        "training": {"epochs": 500, "hyperparameters": {"patience": 0}},
    }
    deployment = httpx.get(f"{url}/deployments/name/train-model/default").json()["id"]
    asked = {"parameters": parameters, "name": "to be cancelled"}
    run = httpx.post(f"{url}/deployments/{deployment}/create_flow_run", json=asked)
    flow_run = run.raise_for_status().json()["id"]
    (job,) = wait_for(lambda: set(worker.jobs()) - set(before), "training job")
    assert worker.jobs()[job] == "InProgress"
    cancelling = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    httpx.post(f"{url}/flow_runs/{flow_run}/set_state", json=cancelling).raise_for_status()
    wait_for(lambda: worker.jobs()[job] == "Stopped", "stop of the job")

    def state() -> str:
        return str(httpx.get(f"{url}/flow_runs/{flow_run}").json()["state_type"])

    wait_for(lambda: state() == "CANCELLED", "cancelled flow run")
    assert worker.record("to be cancelled")["status"] == "cancelled"
