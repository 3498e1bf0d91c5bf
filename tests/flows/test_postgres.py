"""`whippet up` on PostgreSQL: a whole release, and runs that are killed and cancelled.

Many minutes: `make test-operation`.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from cli.operation.worker import read_worker
from cli.server.login import prefect_home, shell_file
from sm_entrypoints.contract.kill_points import VARIABLE, killed, order_kill
from tests.flows.workers import ask, engine_of, run_prefect, sourced, start_run, state_of
from tests.worlds.pipeline import Whippet, tiny_data
from tests.worlds.postgres import Postgres, programs, running_postgres
from tests.worlds.waiting import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.job,
    pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed here"),
]
# A recovery comes every two minutes, and a run that it restarts has all of its way to go.
RECOVERED = 600.0


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """A database server of our own."""
    with running_postgres() as postgres:
        yield postgres


@pytest.fixture(scope="module")
def team(postgres, tmp_path_factory) -> Iterator[Whippet]:
    """What `whippet up` gives after docs/operate.md's setting; processes may be told to die."""
    root = tmp_path_factory.mktemp("on postgres")
    home = root / "whippet home"
    starting = Whippet(home=home, api_url="", extra={VARIABLE: str(root / "kills")})
    use_database(starting, postgres.url())
    try:
        up = starting.run("up")
        assert up.code == 0, up.err
        known = sourced(shell_file(starting.settings))
        yield Whippet(
            home=home, api_url=known["PREFECT_API_URL"], extra={**starting.extra, **known}
        )
    finally:
        down = starting.run("down")
    assert down.code == 0, down.err
    assert starting.processes() == []


def use_database(whippet: Whippet, url: str) -> None:
    """Keep the setting where the server of this home reads it."""
    home = prefect_home(whippet.settings)
    home.mkdir(parents=True, exist_ok=True)
    kept = {"PREFECT_HOME": str(home), "PREFECT_PROFILES_PATH": str(home / "profiles.toml")}
    theirs = Whippet(home=whippet.home, api_url="", extra=kept)
    run_prefect(theirs, "config", "set", f"PREFECT_SERVER_DATABASE_CONNECTION_URL={url}")


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return tiny_data(tmp_path_factory.mktemp("pictures") / "photos")


def training(team: Whippet, data: Path, name: str, epochs: int = 30) -> str:
    """Start a run that trains one model; return the flow run's id."""
    asked = {
        "data": {"path": str(data)},
        "model": {"architecture": "mobilenet_v3_small", "weights": "none", "image_size": 32},
        "training": {"epochs": epochs, "hyperparameters": {"patience": 0}},
    }
    return start_run(team, "train-model", parameters=asked, name=name)


def job_of(team: Whippet, name: str) -> str:
    """Return the name of a run's one training job, once the platform has it."""

    def known() -> str | None:
        job = str(team.record(name).get("jobs", {}).get("training", ""))
        return job if job in team.jobs() else None

    found = wait_for(known, f"training job of {name}")
    assert found is not None
    return found


def kill_worker(team: Whippet) -> None:
    """End the worker as a machine that runs out of memory does."""
    worker = read_worker(team.settings)
    assert worker is not None
    os.kill(worker.pid, signal.SIGKILL)
    wait_for(lambda: read_worker(team.settings) is None, "end of the worker")


def kill_engine(flow_run: str) -> None:
    """End the process of a flow run, if its worker's end has left it alive."""
    engine = engine_of(flow_run)
    if engine is not None:
        engine.kill()
    wait_for(lambda: engine_of(flow_run) is None, "end of the flow run's process")


def completed(team: Whippet, flow_run: str) -> dict[str, Any]:
    """Return a flow run that has ended well by itself, after whatever recoveries it took."""
    wait_for(lambda: state_of(team, flow_run) == "COMPLETED", "completed flow run", RECOVERED)
    found: dict[str, Any] = ask(team, "GET", f"/flow_runs/{flow_run}").json()
    wait_for(lambda: team.record(found["name"])["status"] == "completed", "closed record")
    return found


def test_a_whole_release_outlives_its_worker_and_its_process(team, postgres, data):
    asked = {
        "data": {"path": str(data)},
        "model": {"architecture": "mobilenet_v2", "image_size": 32},
        "tuning": {"max_jobs": 2, "max_epochs": 2},
    }
    flow_run = start_run(team, "release-model", parameters=asked, name="released")
    wait_for(team.jobs, "first job")
    kill_worker(team)
    kill_engine(flow_run)
    assert team.run("up").code == 0
    found = completed(team, flow_run)
    assert found["run_count"] == 2
    record = team.record("released")
    jobs = record["jobs"]
    assert set(team.jobs()) == {jobs["tuning"], jobs["training"]}
    assert set(team.jobs().values()) == {"Completed"}
    answer = team.run("predict", record["query"]["file"])
    assert answer.code == 0, answer.err
    assert record["query"]["predictions"][0]["label"] in answer.out
    # Nothing of it is in a file: PostgreSQL has it all.
    names = postgres.query("select name from flow_run where parent_task_run_id is null")
    assert "released" in names.splitlines()
    assert not list(team.home.rglob("prefect.db"))


def test_killed_runs_go_on_with_their_jobs(team, data):
    """Between create and commit; the engine; worker and engine; the worker alone."""
    kills = Path(team.extra[VARIABLE])
    order_kill(kills, role="runner", point="create_training_job answered", note="uncommitted")
    runs = {"uncommitted": training(team, data, "uncommitted")}
    wait_for(lambda: killed(kills), "death between create and commit")
    jobs = {}
    for name in ("engine killed", "worker killed", "both killed"):
        runs[name] = training(team, data, name)
        jobs[name] = job_of(team, name)
        if name == "engine killed":  # before its job, which takes seconds, has ended
            kill_engine(runs[name])
    kill_worker(team)
    kill_engine(runs["both killed"])
    assert team.run("up").code == 0
    # It is in the record only once the run has been recovered, when the others may have ended.
    jobs["uncommitted"] = job_of(team, "uncommitted")
    before = set(team.jobs())
    found = {name: completed(team, flow_run) for name, flow_run in runs.items()}
    assert set(team.jobs()) == before
    for name, job in jobs.items():
        assert team.jobs()[job] == "Completed"
        # Engines whose worker is gone end well, or die of their closed output and are restarted.
        assert found[name]["run_count"] >= (1 if name == "worker killed" else 2), name


@pytest.mark.parametrize("worker", ["worker", "no worker"])
def test_a_cancel_stops_the_job_with(team, data, worker):
    name = f"cancelled with {worker}"
    flow_run = training(team, data, name, epochs=500)
    job = job_of(team, name)
    if worker == "no worker":
        kill_worker(team)
    asked = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    ask(team, "POST", f"/flow_runs/{flow_run}/set_state", json=asked)
    wait_for(lambda: team.jobs()[job] == "Stopped", "stop of the job")
    wait_for(lambda: state_of(team, flow_run) == "CANCELLED", "cancelled flow run")
    wait_for(lambda: team.record(name)["status"] == "cancelled", "closed record")
    assert team.run("up").code == 0
    recovery = start_run(team, "recover-runs", parameters={"request": {"settled_seconds": 0}})
    wait_for(lambda: state_of(team, recovery) == "COMPLETED", "end of the recovery")
    assert state_of(team, flow_run) == "CANCELLED"
    assert ask(team, "GET", f"/flow_runs/{flow_run}").json()["run_count"] == 1


def test_a_sigterm_while_an_endpoint_is_made_leaves_none_and_the_run_goes_on(team, data):
    trained = team.record("released")["jobs"]["training"]
    before = endpoints(team)
    asked = {"training_job": trained}
    flow_run = start_run(team, "deploy-model", parameters=asked, name="terminated")
    wait_for(lambda: endpoints(team) - before, "endpoint")
    engine = engine_of(flow_run)
    assert engine is not None
    with suppress(ProcessLookupError):
        engine.terminate()
    wait_for(lambda: engine_of(flow_run) is None, "end of the flow run's process")
    # Removed with its process, or made to its end: then the run's record knows it.
    ours = endpoints(team) - before
    deployed = team.record("terminated").get("endpoint")
    assert ours == ({deployed["endpoint"]} if deployed else set())
    completed(team, flow_run)
    assert endpoints(team) - before == {team.record("terminated")["endpoint"]["endpoint"]}


def endpoints(team: Whippet) -> set[str]:
    """Return the names of all endpoints, whatever their state."""
    found = team.platform.sagemaker.list_endpoints(MaxResults=100)["Endpoints"]
    return {each["EndpointName"] for each in found}


def test_a_backup_is_a_server_with_all_of_it(team, postgres):
    names = "select name from flow_run where parent_task_run_id is null order by id"
    backup = postgres.folder / "prefect.dump"
    assert team.run("down").code == 0
    before = postgres.query(names)
    postgres.run("pg_dump", "--format=custom", f"--file={backup}", "postgres")
    postgres.query("create database restored")
    postgres.run("pg_restore", "--exit-on-error", "--dbname=restored", str(backup))
    use_database(team, postgres.url("restored"))
    up = team.run("up", "--no-worker")
    assert up.code == 0, up.err
    assert "deployments, as they were" in up.out
    assert set(before.splitlines()) <= set(postgres.query(names, "restored").splitlines())
