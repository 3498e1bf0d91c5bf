"""The flows as deployments: deployed, run and cancelled by a worker, as the README says."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.flows.workers import (
    POOL,
    deploy_all,
    engine_of,
    run_prefect,
    running_worker,
    start_run,
    state_of,
)
from tests.worlds.pipeline import ROOT, Whippet
from tests.worlds.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.job]


@pytest.fixture(scope="module")
def worker(released, tmp_path_factory) -> Iterator[Whippet]:
    """A worker over every deployment of prefect.yaml."""
    deploy_all(released.whippet)
    with running_worker(released.whippet, tmp_path_factory.mktemp("worker")):
        yield released.whippet


def test_every_flow_is_deployed(worker):
    found = httpx.post(f"{worker.api_url}/deployments/filter", json={}).raise_for_status().json()
    assert {d["work_pool_name"] for d in found} == {POOL}
    # None holds a folder of whoever deployed it.
    assert [d["pull_steps"] for d in found] == [[]] * len(found)
    assert str(ROOT) not in json.dumps(found)
    (recovery,) = [d for d in found if d["name"] == "all"]
    assert recovery["entrypoint"] == "flows.recover_runs.recover_runs"
    assert [s["active"] for s in recovery["schedules"]] == [True]


def test_a_worker_runs_a_deployment_to_its_end(worker, released):
    query = released.record["query"]
    request = f'request={{"endpoint": "{released.record["endpoint"]["endpoint"]}", '
    request += f'"image": "{query["file"].replace(chr(34), chr(92) + chr(34))}"}}'
    found = run_prefect(
        worker, "deployment", "run", "query-endpoint/local", "-p", request, "--watch"
    )
    assert "Completed" in found.out
    chosen = {"artifacts": {"key": {"any_": ["query"]}}, "sort": "CREATED_DESC", "limit": 1}
    answer = httpx.post(f"{worker.api_url}/artifacts/filter", json=chosen).json()[0]["data"]
    assert query["predictions"][0]["label"] in answer
    assert released.record["endpoint"]["endpoint"] in answer


def training(data: str, epochs: int) -> dict[str, object]:
    return {
        "data": {"path": data},
        "model": {"architecture": "mobilenet_v3_small", "weights": "none", "image_size": 32},
        "training": {"epochs": epochs, "hyperparameters": {"patience": 0}},
    }


def test_cancelling_a_deployments_run_stops_its_job(worker, released):
    url, before = worker.api_url, worker.jobs()
    asked = training(str(released.data), 500)
    flow_run = start_run(worker, "train-model", parameters=asked, name="to be cancelled")
    (job,) = wait_for(lambda: set(worker.jobs()) - set(before), "training job")
    assert worker.jobs()[job] == "InProgress"
    cancelling = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    httpx.post(f"{url}/flow_runs/{flow_run}/set_state", json=cancelling).raise_for_status()
    wait_for(lambda: worker.jobs()[job] == "Stopped", "stop of the job")
    wait_for(lambda: state_of(worker, flow_run) == "CANCELLED", "cancelled flow run")
    # The hook that closes the record runs after the server has the state.
    wait_for(lambda: worker.record("to be cancelled")["status"] == "cancelled", "closed record")


def test_a_killed_run_goes_on_with_its_job(worker, released):
    before = worker.jobs()
    asked = training(str(released.data), 30)
    flow_run = start_run(worker, "train-model", parameters=asked, name="to be killed")
    wait_for(lambda: set(worker.jobs()) - set(before), "training job")
    wait_for(lambda: engine_of(flow_run), "process of the flow run").kill()
    wait_for(lambda: state_of(worker, flow_run) == "CRASHED", "crashed flow run")
    recovery = {"request": {"settled_seconds": 0}}
    start_run(worker, "recover-runs", parameters=recovery)
    wait_for(lambda: state_of(worker, flow_run) == "COMPLETED", "completed flow run")
    found = httpx.get(f"{worker.api_url}/flow_runs/{flow_run}").json()
    assert found["run_count"] == 2
    (job,) = set(worker.jobs()) - set(before)
    assert worker.jobs()[job] == "Completed"
    wait_for(lambda: worker.record("to be killed")["status"] == "completed", "closed record")
