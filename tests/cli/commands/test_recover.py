"""`whippet recover`: what it finds in a home, and what it does with each run."""

from __future__ import annotations

import os
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.commands import recover
from cli.main import main
from platforms import Settings
from platforms.locks import held_if_free
from tasks.runs.names import RunIdentity
from tasks.runs.record import open_run, read_run, record, run_folder
from tasks.runs.record_model import RunFacts
from tests.cli.command import NO_SERVER, Command, command_of
from tests.worlds.consoles import handlers_as_they_were

LOCK = ".owner.lock"


@pytest.fixture
def whippet(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return command_of(monkeypatch, capsys)


def make_run(settings: Settings, name: str, status: str, *, began: bool = True, **facts: Any):
    """Write the record of a run, whose process has been there and is gone."""
    run = open_run(settings, f"flow-run-{name}", name, {}, resume=False)
    record(settings, run, RunFacts(status=status, **facts))
    if began:
        (run_folder(settings, run.name) / LOCK).touch()
    return run


def days_ago(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")


def test_a_dry_run_says_what_would_become_of_each_run(tmp_path: Path, whippet: Command) -> None:
    settings = Settings(home=tmp_path / "it's a hôme", platform="local")
    make_run(settings, "killed", "running")
    make_run(settings, "crashed", "crashed", ended=days_ago(1))
    make_run(settings, "long-ago", "crashed", ended=days_ago(30))
    make_run(settings, "busy", "running")
    make_run(settings, "elsewhere", "running", began=False)
    for ended in ("completed", "failed", "cancelled", "refused"):
        make_run(settings, ended, ended, ended=days_ago(1))
    with held_if_free(run_folder(settings, "busy") / LOCK) as ours:
        assert ours
        answer = whippet(settings.home, "recover", "--dry-run")
    assert answer.returncode == 0
    told = dict(line.split(None, 1) for line in answer.stdout.splitlines()[1:])
    assert set(told) == {"killed", "crashed", "long-ago", "busy", "elsewhere"}
    assert told["killed"].endswith("goes on here")
    assert told["crashed"].endswith("goes on here")
    assert "more than 7 days ago; ask for it by its name" in told["long-ago"]
    assert "left alone: it goes on in process" in told["busy"]
    assert "left alone: not on this machine" in told["elsewhere"]
    assert read_run(settings, "killed").status == "running", "nothing was changed"


def test_by_their_names_runs_of_any_age_and_failed_ones_go_on(
    tmp_path: Path, whippet: Command
) -> None:
    settings = Settings(home=tmp_path / "home", platform="local")
    make_run(settings, "long-ago", "crashed", ended=days_ago(30))
    make_run(settings, "failed", "failed", ended=days_ago(30))
    make_run(settings, "done", "completed", ended=days_ago(1))
    make_run(settings, "cancelled", "cancelled", ended=days_ago(1))
    names = ("long-ago", "failed", "done", "cancelled")
    answer = whippet(settings.home, "recover", "--dry-run", *names)
    told = dict(line.split(None, 1) for line in answer.stdout.splitlines())
    assert told["long-ago"].endswith("goes on here")
    assert told["failed"].endswith("goes on here")
    assert "left alone: it has come to its end" in told["done"]
    assert "`whippet run --resume cancelled`" in told["cancelled"]


def test_a_run_that_is_not_there_is_refused_with_the_one_that_was_meant(
    tmp_path: Path, whippet: Command
) -> None:
    settings = Settings(home=tmp_path / "home", platform="local")
    make_run(settings, "clipart", "crashed")
    answer = whippet(settings.home, "recover", "clipatr")
    assert answer.returncode == 1
    assert "there is no run 'clipatr'" in answer.stderr
    assert "did you mean clipart" in answer.stderr


def test_where_nothing_was_interrupted_it_says_so(tmp_path: Path, whippet: Command) -> None:
    answer = whippet(tmp_path / "home", "recover")
    assert (answer.returncode, answer.stdout) == (0, "no run was interrupted\n")


def test_each_run_is_resumed_although_one_before_it_cannot_be(
    tmp_path: Path, whippet: Command
) -> None:
    settings = Settings(home=tmp_path / "home", platform="local")
    for name in ("one", "two"):
        gone = {"data": {"path": str(tmp_path / f"data of {name}")}}
        open_run(settings, f"flow-run-{name}", name, gone, resume=False)
        (run_folder(settings, name) / LOCK).touch()
    answer = whippet(settings.home, "recover")
    assert answer.returncode == 1
    for name in ("one", "two"):
        assert f"going on with run {name!r}" in answer.stdout
        assert f"data of {name}" in answer.stderr, "what `whippet run --resume` says of it"
    assert "did not come to its end: one, two" in answer.stderr


@pytest.mark.slow
def test_a_run_of_a_deployment_goes_back_to_its_worker(
    prefect_server: Any,
    whippet_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from prefect import flow, get_client
    from prefect.client.schemas.objects import StateType
    from prefect.settings import PREFECT_API_URL
    from prefect.states import Crashed, Running

    from flows.recover_runs import recover_runs
    from tasks.parameters.upkeep import RecoverParameters

    @flow
    def killed() -> None: ...

    monkeypatch.setattr(recover, "_SETTLED_SECONDS", 0)
    monkeypatch.setattr("tasks.recovery._BEGIN_SECONDS", 0)
    for name in ("PREFECT_HOME", "PREFECT_SERVER_ANALYTICS_ENABLED", "PREFECT_LOGGING_LEVEL"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
    monkeypatch.setenv("PREFECT_API_URL", PREFECT_API_URL.value() or NO_SERVER)
    with get_client(sync_client=True) as client, handlers_as_they_were(), ExitStack() as ends:
        deployment = client.create_deployment(
            flow_id=client.create_flow_from_name("killed"), name="test", tags=["whippet"]
        )
        ends.callback(client.delete_deployment, deployment)
        made = client.create_flow_run_from_deployment(deployment, tags=["whippet"])
        ends.callback(client.delete_flow_run, made.id)
        client.set_flow_run_state(made.id, Running(), force=True)
        run: RunIdentity = open_run(Settings(), str(made.id), "of a worker", {}, resume=False)
        (run_folder(Settings(), run.name) / LOCK).touch()
        assert main(["recover", "--dry-run"]) == 0
        assert "goes back to its worker" in capsys.readouterr().out
        assert main(["recover", run.name]) == 0
        said = capsys.readouterr().out
        assert f"run {run.name!r} is on its way to its worker" in said
        assert "no worker is online: `whippet up` starts one" in said
        state = client.read_flow_run(made.id).state
        assert state is not None
        assert (state.type, state.name) == (StateType.SCHEDULED, "AwaitingRetry")
        # Somebody resumes it from the command line, and then its worker's process is found dead.
        open_run(Settings(), "another flow run", run.name, {}, resume=True)
        client.set_flow_run_state(made.id, Crashed(), force=True)
        assert recover_runs(RecoverParameters(settled_seconds=0)) == []
        state = client.read_flow_run(made.id).state
        assert state is not None
        assert state.type is StateType.CRASHED
