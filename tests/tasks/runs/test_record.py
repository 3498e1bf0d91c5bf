from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from platforms import Settings
from tasks.runs.names import run_token
from tasks.runs.record import (
    find_run,
    finish,
    open_run,
    package_versions,
    read_run,
    record,
    run_folder,
    settings_of,
)
from tasks.runs.record_model import RunFacts
from tasks.runs.record_parts import DataFacts

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def settings(whippet_home) -> Settings:
    return Settings()


def test_settings_keep_to_the_folder_of_the_test(settings, whippet_home):
    assert settings.runs == whippet_home / "runs"


def test_the_same_flow_run_always_has_the_same_identity(settings):
    run = open_run(settings, "id-1", "demo", {"data": {"seed": 1}}, resume=False)
    assert run.name == "demo"
    assert run.token == run_token("id-1")
    record(settings, run, RunFacts(jobs={"training": "t"}))
    assert open_run(settings, "id-1", "renamed", {}, resume=False) == run
    assert find_run(settings, "id-1") == run
    assert read_run(settings, "demo").jobs == {"training": "t"}


def test_a_run_keeps_its_platform_whatever_the_process_uses(settings, monkeypatch):
    run = open_run(settings, "id-1", "demo", {}, resume=False)
    monkeypatch.setenv("WHIPPET_PLATFORM", "aws")
    assert settings_of(run) == settings
    assert settings_of(None).platform == "aws"


def test_an_unknown_flow_run_is_not_found(settings):
    assert find_run(settings, "id-1") is None


def test_the_record_says_at_once_what_is_known(settings):
    open_run(settings, "id-1", "demo", {"data": {"seed": 1}}, resume=False)
    known = read_run(settings, "demo")
    assert known.status == "running"
    assert known.parameters == {"data": {"seed": 1}}
    assert known.platform == "local"
    assert known.versions["prefect"] == package_versions()["prefect"] != "not installed"
    assert known.flow_run_id == "id-1"


def test_another_run_of_that_name_gets_a_folder_of_its_own(settings):
    first = open_run(settings, "id-1", "demo", {}, resume=False)
    second = open_run(settings, "id-2", "demo", {}, resume=False)
    assert second.name == f"demo-{run_token('id-2')}"
    assert first.token != second.token
    assert read_run(settings, first.name).flow_run_id == "id-1"
    assert read_run(settings, second.name).flow_run_id == "id-2"


@pytest.mark.parametrize("name", ["demo", "latest"])
def test_a_resumed_run_takes_over_token_and_folder(settings, name):
    first = open_run(settings, "id-1", "demo", {"a": 1}, resume=False)
    record(settings, first, RunFacts(jobs={"tuning": "t"}))
    finish(settings, first, "failed", "boom")
    again = open_run(settings, "id-2", name, {"a": 1}, resume=True)
    assert (again.name, again.token, again.prefix) == ("demo", first.token, first.prefix)
    assert again.flow_run_id == "id-2"
    known = read_run(settings, "demo")
    assert known.jobs == {"tuning": "t"}
    assert (known.status, known.error, known.ended) == ("running", None, None)
    assert read_run(settings, "latest") == known


def test_resuming_what_is_not_there_starts_anew(settings):
    run = open_run(settings, "id-1", "demo", {}, resume=True)
    assert (run.name, run.token) == ("demo", run_token("id-1"))


def test_a_run_that_died_before_its_pointer_keeps_its_folder(settings):
    run = open_run(settings, "id-1", "demo", {}, resume=False)
    (settings.runs / ".by-flow-run" / "id-1.json").unlink()
    assert open_run(settings, "id-1", "demo", {}, resume=False) == run


@pytest.mark.parametrize(
    "name", ["../../escape", "a/b/c", "/etc", "..", ".hidden", "latest", "é 'x' \"y\"", "z" * 400]
)
def test_wild_names_stay_inside_the_runs_folder(settings, whippet_home, name):
    run = open_run(settings, "id-1", name, {}, resume=False)
    folder = run_folder(settings, run.name)
    assert folder.resolve().parent == settings.runs.resolve()
    assert read_run(settings, "latest").name == run.name
    assert [path.name for path in whippet_home.iterdir()] == ["runs"]


def test_latest_is_the_newest(settings):
    open_run(settings, "id-1", "first", {}, resume=False)
    open_run(settings, "id-2", "second", {}, resume=False)
    assert read_run(settings, "latest").name == "second"
    assert (settings.runs / "latest").is_symlink()


def test_values_are_merged_one_level_deep(settings):
    run = open_run(settings, "id-1", "demo", {}, resume=False)
    record(
        settings, run, RunFacts.model_validate({"data": {"uri": "u", "name": "n"}, "report": "r"})
    )
    record(settings, run, RunFacts(data={"name": "m"}, seconds={"sync": 1}))
    record(settings, run, RunFacts(seconds={"tune": 2}, report="s"))
    known = read_run(settings, "demo")
    assert known.data == DataFacts(uri="u", name="m")
    assert known.seconds == {"sync": 1, "tune": 2}
    assert known.report == "s"


def test_the_end_of_a_run(settings):
    run = open_run(settings, "id-1", "demo", {}, resume=False)
    finish(settings, run, "failed", "no job")
    known = read_run(settings, "demo")
    assert (known.status, known.error) == ("failed", "no job")
    assert known.ended >= known.started


RECORDER = """
import sys
from platforms import Settings
from tasks.runs.names import RunIdentity
from tasks.runs.record import open_run, record
from tasks.runs.record_model import RunFacts
settings, who = Settings(), sys.argv[1]
run = open_run(settings, "id-1", "demo", {}, resume=False)
for number in range(15):
    record(settings, run, RunFacts(jobs={f"{who}-{number}": "x"}))
print(run.name)
"""


@pytest.mark.slow
def test_nothing_is_lost_between_processes(settings):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", RECORDER, str(who)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        for who in range(4)
    ]
    names = {process.communicate(timeout=120)[0].strip() for process in processes}
    assert [process.returncode for process in processes] == [0] * 4
    assert names == {"demo"}
    expected = {f"{who}-{number}" for who in range(4) for number in range(15)}
    assert set(read_run(settings, "demo").jobs) == expected
