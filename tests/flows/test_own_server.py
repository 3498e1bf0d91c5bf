"""The README's "Schedule it", on the server that `whippet up` starts: closed, and good for all."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.operation.automation_file import read_automations
from cli.operation.deployments import deployment_names
from cli.operation.worker import read_worker
from cli.server.health import look
from cli.server.login import prefect_home, read_login, shell_file
from tests.conftest import AWKWARD
from tests.flows.workers import (
    ask,
    deployment_id,
    engine_of,
    headers_of,
    run_prefect,
    running_worker,
    sourced,
    start_run,
    state_of,
)
from tests.worlds.pipeline import ROOT, Whippet, tiny_data
from tests.worlds.receiver import receiving
from tests.worlds.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.job]
SETTINGS = """
active = "tests"
[profiles.tests]
PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS = "5"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Whippet]:
    """The server of `whippet up`, as it is after a shell has sourced what it wrote."""
    home = tmp_path_factory.mktemp("own") / AWKWARD / "whippet home"
    starting = Whippet(home=home, api_url="")
    prefect_home(starting.settings).mkdir(parents=True)
    # How people set what the server does.
    (prefect_home(starting.settings) / "profiles.toml").write_text(SETTINGS)
    try:
        up = starting.run("up", "--no-worker")
        assert up.code == 0, up.err
        known = sourced(shell_file(starting.settings))
        whippet = Whippet(
            home=home,
            api_url=known["PREFECT_API_URL"],
            extra={**known, "PREFECT_HOME": str(home.parent / "a user's own")},
        )
        yield whippet
    finally:
        down = starting.run("down")
    assert down.code == 0
    assert read_worker(starting.settings) is None
    assert starting.processes() == []


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return tiny_data(tmp_path_factory.mktemp("pictures") / 'my "photos" è')


def parameters(data: Path) -> dict[str, object]:
    model = {"architecture": "mobilenet_v3_small", "weights": "none", "image_size": 32}
    return {"data": {"path": str(data)}, "model": model}


# What a web page did to the server that Whippet used to start, up to a shell command.
SHELL_STEP = {
    "name": "theirs",
    "flow_id": "00000000-0000-0000-0000-000000000000",
    "pull_steps": [{"prefect.deployments.steps.run_shell_script": {"script": "touch pwned"}}],
}


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "Content-Type": "application/json"},
        {"Origin": "https://evil.example", "Content-Type": "text/plain"},
        {"Origin": "null"},
        {"Host": "evil.example"},
        {"Host": "evil.example", "Origin": "http://evil.example"},
        {"Content-Type": "application/json"},
    ],
    ids=str,
)
@pytest.mark.parametrize("known", [False, True], ids=["no login", "login"])
def test_a_web_page_can_do_nothing(server, headers, known):
    own = {"Authorization": headers_of(server)["Authorization"]} if known else {}
    for path, body in (("/flows/", {"name": "theirs"}), ("/deployments/", SHELL_STEP)):
        content = json.dumps(body).encode()
        found = httpx.post(f"{server.api_url}{path}", content=content, headers={**headers, **own})
        assert found.status_code in (401, 403)
        assert "access-control-allow-origin" not in found.headers
    flows = ask(server, "POST", "/flows/filter", json={}).json()
    assert "theirs" not in {flow["name"] for flow in flows}


def test_a_web_page_is_told_so_before_it_asks(server):
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    found = httpx.options(f"{server.api_url}/flows/", headers=asked)
    assert found.status_code == 403


def test_the_password_alone_opens_it(server):
    login = read_login(server.settings)
    assert look(server.api_url).refused
    assert look(server.api_url, f"{login}x").refused
    assert look(server.api_url, login).usable
    for path in ("/flow_runs/filter", "/logs/filter", "/block_documents/filter"):
        token = {k: v for k, v in headers_of(server).items() if k != "Authorization"}
        assert httpx.post(f"{server.api_url}{path}", json={}, headers=token).status_code == 401


@pytest.mark.parametrize("headers", [{"Origin": "https://evil.example"}, {"Host": "evil.example"}])
def test_a_web_page_hears_no_events(server, headers):
    handshake = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": "prefect",
    }
    found = httpx.get(f"{server.api_url}/events/out", headers={**handshake, **headers})
    assert found.status_code == 403


def test_its_own_page_asks_for_the_password(server):
    page = server.api_url.removesuffix("/api")
    settings = httpx.get(f"{page}/ui-settings").json()
    assert settings["auth"] == "BASIC"
    assert settings["csrf_enabled"]
    assert settings["api_url"] == server.api_url
    asked = {
        "Origin": page,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,prefect-csrf-token",
    }
    allowed = httpx.options(f"{server.api_url}/flow_runs/filter", headers=asked)
    assert allowed.headers["access-control-allow-origin"] == page


def test_a_schedule_fires_and_a_run_is_watched(server, data, tmp_path):
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
        watched = run_prefect(server, "deployment", "run", "clean-up/local", "--watch")
    assert "Completed" in watched.out
    assert re.search(r"nothing is billing", (tmp_path / "worker.txt").read_text("utf-8"))
    # The worker and its runs know the login; nobody was told.
    secret = read_login(server.settings).partition(":")[2]
    told = [
        path
        for path in server.home.parent.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    ]
    # The last one is the user's own, for Prefect's commands.
    assert {path.name for path in told} == {"login", "server.env", "profiles.toml"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in told} == {0o600}
    assert secret not in (tmp_path / "worker.txt").read_text("utf-8")


def cancel(server: Whippet, flow_run: str) -> None:
    """Ask for a cancel, as the UI does."""
    asked = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
    ask(server, "POST", f"/flow_runs/{flow_run}/set_state", json=asked)


def test_a_cancel_outlives_worker_and_run_and_nothing_starts_again(server, data, tmp_path):
    def training(name: str) -> tuple[str, str]:
        before = set(server.jobs())
        asked = parameters(data) | {"training": {"epochs": 500, "hyperparameters": {"patience": 0}}}
        flow_run = start_run(server, "train-model", parameters=asked, name=name)
        (job,) = wait_for(lambda: set(server.jobs()) - before, "training job")
        return flow_run, job

    (tmp_path / "first").mkdir()
    with running_worker(server, tmp_path / "first") as worker:
        orphan, orphans_job = training("its worker dies")
        dead, deads_job = training("its engine dies too")
        worker.send_signal(signal.SIGSTOP)  # it must not see to it before it dies
        for flow_run in (orphan, dead):
            cancel(server, flow_run)
        wait_for(lambda: engine_of(dead), "process of the flow run").kill()
        worker.kill()
    # What Prefect makes of a cancel whose worker is gone: Crashed; the run sees to it all the same.
    wait_for(lambda: server.jobs()[orphans_job] == "Stopped", "stop of the job")
    wait_for(lambda: state_of(server, orphan) == "CANCELLED", "cancelled flow run")
    crashed = {"state": {"type": "CRASHED", "name": "Crashed"}, "force": True}
    ask(server, "POST", f"/flow_runs/{dead}/set_state", json=crashed)
    assert server.jobs()[deads_job] == "InProgress"
    with running_worker(server, tmp_path):
        recovery = {"request": {"settled_seconds": 0}}
        recovering = start_run(server, "recover-runs", parameters=recovery)
        wait_for(lambda: server.jobs()[deads_job] == "Stopped", "stop of the job")
        wait_for(lambda: state_of(server, recovering) == "COMPLETED", "end of the recovery")
    for flow_run, name in ((orphan, "its worker dies"), (dead, "its engine dies too")):
        found = ask(server, "GET", f"/flow_runs/{flow_run}").json()
        assert found["state_type"] == "CANCELLED"
        assert found["run_count"] == 1
        closed = lambda: server.record(name)["status"] == "cancelled"  # noqa: B023,E731
        wait_for(closed, "closed record")
    assert set(server.jobs().values()) == {"Stopped"}


def test_up_again_changes_nothing_that_people_switched(server):
    known = ask(server, "POST", "/deployments/filter", json={"limit": 200}).json()
    assert len(known) == len(deployment_names())
    (weekly,) = next(
        each["schedules"]
        for each in known
        if each["entrypoint"].endswith("release_model") and each["name"] == "local"
    )
    assert weekly["active"] is False
    path = f"/deployments/{weekly['deployment_id']}/schedules/{weekly['id']}"
    ask(server, "PATCH", path, json={"active": True})
    again = server.run("up", "--no-worker")
    assert again.code == 0, again.err
    assert f"{len(known)} deployments, as they were" in again.out
    # As after an update of Whippet: the file is another one.
    variable = ask(server, "GET", "/variables/name/whippet_deployments").json()
    ask(server, "PATCH", f"/variables/{variable['id']}", json={"value": "of another file"})
    applied = server.run("up", "--no-worker")
    assert f"{len(known)} deployments, applied" in applied.out, applied.err
    after = ask(server, "POST", "/deployments/filter", json={"limit": 200}).json()
    assert {each["id"] for each in after} == {each["id"] for each in known}
    (kept,) = [s for each in after for s in each["schedules"] if s["id"] == weekly["id"]]
    assert kept["active"] is True
    ask(server, "PATCH", path, json={"active": False})


def test_a_group_of_another_name_is_refused_before_a_run_exists(server):
    path = f"/deployments/{deployment_id(server, 'train-model')}/create_flow_run"
    with pytest.raises(httpx.HTTPStatusError) as caught:
        ask(server, "POST", path, json={"parameters": {"trainig": {"epochs": 1}}})
    assert caught.value.response.status_code == 409
    assert "Additional properties are not allowed ('trainig'" in caught.value.response.text


def test_one_worker_is_started_and_status_tells_of_it(server):
    def status() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(server.run("status", "--json").out)
        return found

    assert status()["worker"].startswith("none of this folder")
    up = server.run("up")
    assert up.code == 0, up.err
    first = read_worker(server.settings)
    assert f"worker:          {first.name}, pool whippet" in up.out
    assert server.run("up").code == 0
    assert read_worker(server.settings) == first
    found = status()
    assert first.name in {each["worker"] for each in found["workers"]}
    assert found["server"] == server.api_url.removesuffix("/api")
    switched = {each["deployment"]: each["is"] for each in found["schedules"]}
    assert switched["recover-runs/all"] == "on"
    assert switched["release-model/local"] == "off"
    assert (found["questions"], found["endpoints"], found["bills"]) == ([], [], [])
    os.kill(first.pid, signal.SIGKILL)
    wait_for(lambda: read_worker(server.settings) is None, "end of the worker")
    assert server.run("up").code == 0
    assert read_worker(server.settings).pid != first.pid
    shown = server.run("status").out
    assert "nothing bills" in shown
    assert "recover-runs/all" in shown


# What a run does on its way, without a training.
TELL = """
import sys
from pathlib import Path
from decimal import Decimal
from prefect import flow
from platforms import Settings
from tasks.events import VERDICT, tell, tell_cost
from tasks.run_end import close_accounts
from tasks.runs.record import read_run, record
from tasks.runs.record_model import RunFacts
from tasks.runs.record_parts import LedgerEntry
from tasks.runs.stages import current_run
from tasks.telling.message import Message

@flow
def told():
    run = current_run()
    record(Settings(), run, RunFacts(report="/runs/x/report.html"))
    for severity in ("warning", "error", "error"):
        labels = {"whippet.severity": severity}
        tell(VERDICT, run, Message(severity, f"verdict: {severity}", "the loss was nan", labels))
    for job, usd in (("cheap", "0.50"), ("dear", "7.25")):
        of_job = {"job": job, "stage": "train", "status": "Completed", "usd": Decimal(usd)}
        used = {"instance_type": "ml.m5.xlarge", "instance_count": 1, "billable_seconds": 9}
        entry = LedgerEntry(**of_job, **used, spot_saving=0, price="table")
        record(Settings(), run, RunFacts(ledger={job: entry}))
        tell_cost(run, read_run(Settings(), run.name))

told.with_options(flow_run_name="told")()
"""


def test_people_are_told_through_a_webhook(server):
    with receiving() as hook:
        nobody = server.run("notify")
        assert (nobody.code, nobody.out) == (0, "nobody is told\n"), nobody.err
        made = server.run("notify", "webhook", hook.url, "--test")
        assert made.code == 0, made.err
        assert "told: whippet-webhook" in made.out
        assert hook.messages == [
            {"subject": "Whippet: a test", "body": "This is where messages of your runs arrive."}
        ]
        found = subprocess.run(
            [sys.executable, "-c", TELL],
            cwd=ROOT,
            env=server.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert found.returncode == 0, found.stderr
        verdict = wait_for(lambda: hook.about("verdict: error"), "message of the verdict")
        assert verdict["body"].startswith("the loss was nan.\nRun: http://127.0.0.1:")
        assert "/runs/flow-run/" in verdict["body"]
        assert verdict["body"].endswith("Report: /runs/x/report.html")
        cost = wait_for(lambda: hook.about("cost 7.75 USD"), "message of the cost")
        assert "Its limit is 5.00 USD" in cost["body"]
        # As a worker's run ends; what it said of itself is in the message.
        flow_run = start_run(server, "train-model", name="it fails")
        failed = {"type": "FAILED", "name": "Failed", "message": "training job 'x' ended Failed"}
        path = f"/flow_runs/{flow_run}"
        ask(server, "PATCH", f"{path}/labels", json={"whippet.report": "/runs/y/report.html"})
        ask(server, "POST", f"{path}/set_state", json={"state": failed, "force": True})
        told = wait_for(lambda: hook.about("run it fails is Failed"), "message of the failure")
        assert told["body"].startswith("training job 'x' ended Failed\nRun: http://127.0.0.1:")
        assert told["body"].endswith("Report: /runs/y/report.html")
        cancelled = {"type": "CANCELLED", "name": "Cancelled"}
        second = start_run(server, "train-model", name="it is cancelled")
        ask(server, "POST", f"/flow_runs/{second}/set_state", json={"state": cancelled})
        wait_for(lambda: hook.about("run it is cancelled is Cancelled"), "message of the cancel")
        # Once each, and nothing of what is no reason for a message.
        subjects = [each["subject"] for each in hook.messages]
        assert len(subjects) == len(set(subjects))
        assert not [each for each in subjects if "warning" in each or "0.50" in each]
        assert server.run("notify", "webhook", "--remove").code == 0
        assert server.run("notify").out == "nobody is told\n"


def test_automations_are_applied_without_doubles(server):
    def known() -> dict[str, dict[str, Any]]:
        found = ask(server, "POST", "/automations/filter", json={}).json()
        assert len({each["name"] for each in found}) == len(found)
        return {each["name"]: each for each in found}

    before = known()
    assert len(before) == len(read_automations().automations)
    off, changed, gone = "whippet: run takes long", "whippet: run failed", "whippet: model deployed"
    ask(server, "PATCH", f"/automations/{before[off]['id']}", json={"enabled": False})
    kept = {k: v for k, v in before[changed].items() if k not in ("id", "created", "updated")}
    mine = {**kept, "description": "by hand"}
    ask(server, "PUT", f"/automations/{before[changed]['id']}", json=mine)
    ask(server, "DELETE", f"/automations/{before[gone]['id']}")
    again = server.run("up", "--no-worker")
    assert again.code == 0, again.err
    assert "2 new or changed" in again.out
    after = known()
    assert set(after) == set(before)
    assert after[off]["enabled"] is False
    assert after[changed]["description"] == before[changed]["description"]
    assert "as they were" in server.run("up", "--no-worker").out.partition("automations:")[2]
