"""Deployments for tests: Prefect's own commands, a worker, and the processes that it starts."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import psutil

from cli.server.login import shell_file
from tests.worlds.pipeline import ROOT, Ended, Whippet, ended
from tests.worlds.waiting import wait_for

POOL = "whippet"
PREFECT = str(Path(sys.executable).with_name("prefect"))


def run_prefect(whippet: Whippet, *argv: str) -> Ended:
    """Run one of Prefect's commands to its good end."""
    process = subprocess.Popen(
        [PREFECT, *argv],
        cwd=ROOT,
        env={**whippet.environment, "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )
    found = ended(process)
    assert found.code == 0, found.out
    return found


def deploy_all(whippet: Whippet) -> None:
    """Deploy every deployment of prefect.yaml."""
    run_prefect(whippet, "work-pool", "create", POOL, "--type", "process")
    deployed = run_prefect(whippet, "--no-prompt", "deploy", "--all")
    assert "release-model/local" in deployed.out
    assert "release-model/aws" in deployed.out


def sourced(shell: Path) -> dict[str, str]:
    """Return the variables that a shell has after it has sourced a file."""
    names = ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING")
    script = f'. "$1" && printf "%s\\n" {" ".join(f"${name}" for name in names)}'
    found = subprocess.check_output(["sh", "-euc", script, "sh", str(shell)], text=True)
    return dict(zip(names, found.splitlines(), strict=True))


@contextmanager
def put_up(home: Path) -> Iterator[Whippet]:
    """Give what `whippet up` gives, worker and all, as a shell has it after sourcing its file."""
    starting = Whippet(home=home, api_url="")
    try:
        up = starting.run("up")
        assert up.code == 0, up.err
        known = sourced(shell_file(starting.settings))
        yield Whippet(home=home, api_url=known["PREFECT_API_URL"], extra=known)
    finally:
        down = starting.run("down")
    assert down.code == 0, down.err
    assert "stopped worker" in down.out
    assert starting.processes() == []


@contextmanager
def running_worker(whippet: Whippet, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker in a folder that is not the project's; print its log at its end."""
    log = folder / "worker.txt"
    with log.open("w") as out:
        process = subprocess.Popen(
            [PREFECT, "worker", "start", "--pool", POOL],
            cwd=folder,
            env={**whippet.environment, "PREFECT_WORKER_QUERY_SECONDS": "1"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            process_group=0,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        # It waits for the runs that it has started, and those of the schedules are many.
        with suppress(subprocess.TimeoutExpired):
            process.wait(30)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)
        print(log.read_text("utf-8"))


def headers_of(whippet: Whippet) -> dict[str, str]:
    """Return what a server with a login wants to see of us; nothing for one without."""
    login = whippet.environment.get("PREFECT_API_AUTH_STRING")
    return {} if login is None else _headers(whippet.api_url, login)


@cache
def _headers(api_url: str, login: str) -> dict[str, str]:
    """Return them with a token that holds for an hour; to ask for each anew burdens the server."""
    known = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}
    client = str(uuid.uuid4())
    path = f"{api_url}/csrf-token?client={client}"

    def answer() -> httpx.Response | None:
        found = _answer("GET", path, known)
        return None if found.status_code == 503 else found

    token = wait_for(answer, "token for changes")
    assert token is not None
    token.raise_for_status()
    return {
        **known,
        "Prefect-Csrf-Client": client,
        "Prefect-Csrf-Token": str(token.json()["token"]),
    }


def _answer(method: str, url: str, headers: dict[str, str], **request: Any) -> httpx.Response:
    """Return an answer; one that does not come at all from a busy server becomes a 503.

    Only looks are tried again then: a change may have been made.
    """
    try:
        return httpx.request(method, url, timeout=60, headers=headers, **request)
    except httpx.TimeoutException:
        if method != "GET" and not url.endswith("/filter"):
            raise
        return httpx.Response(503, request=httpx.Request(method, url))


def ask(whippet: Whippet, method: str, path: str, **request: object) -> httpx.Response:
    """Return the server's answer; ask again while its database is busy (503)."""

    def answer() -> httpx.Response | None:
        found = _answer(method, f"{whippet.api_url}{path}", headers_of(whippet), **request)
        return None if found.status_code == 503 else found

    found = wait_for(answer, f"answer to {path}", pause=0.5)
    if found is not None and found.status_code == 403:  # its database is another one now
        _headers.cache_clear()
        found = answer()
    assert found is not None
    return found.raise_for_status()


def deployment_id(whippet: Whippet, name: str) -> str:
    """Return the id of a flow's deployment for this machine, or for all platforms."""
    which = "all" if name == "recover-runs" else "local"
    return str(ask(whippet, "GET", f"/deployments/name/{name}/{which}").json()["id"])


def start_run(whippet: Whippet, flow: str, **asked: object) -> str:
    """Ask for a run of a flow's deployment; return the flow run's id."""
    path = f"/deployments/{deployment_id(whippet, flow)}/create_flow_run"
    return str(ask(whippet, "POST", path, json=asked).json()["id"])


def state_of(whippet: Whippet, flow_run: str) -> str:
    """Return the type of a flow run's state."""
    return str(ask(whippet, "GET", f"/flow_runs/{flow_run}").json()["state_type"])


def engine_of(flow_run: str) -> psutil.Process | None:
    """Return the process that runs a flow run, if there is one."""
    for process in psutil.process_iter():
        try:
            if process.environ().get("PREFECT__FLOW_RUN_ID") == flow_run:
                return process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return None
