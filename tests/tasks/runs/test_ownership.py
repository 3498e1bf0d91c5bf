"""One process at a time works on a run, and everybody can see whether it lives."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from platforms import Settings
from tasks.runs.ownership import DEAD, at_work, note_dead_runs, owner, take
from tasks.runs.record import finish, open_run, read_run
from tests.worlds.waiting import wait_for

ROOT = Path(__file__).parents[3]
OTHER = """
import sys, threading
from pathlib import Path
from platforms import Settings
from tasks.runs.ownership import take
from tasks.runs.record import find_run
settings = Settings(home=Path(sys.argv[1]))
def wait():
    print("waits", flush=True)
    threading.Event().wait(0.05)
take(settings, find_run(settings, "id-1"), wait)
print("works", flush=True)
sys.stdin.read()
"""


class GaveUp(Exception):
    """Raised in place of waiting any longer."""


def give_up() -> None:
    raise GaveUp


@pytest.fixture
def run(tmp_path):
    return open_run(Settings(home=tmp_path), "id-1", "demo", {}, resume=False)


def other(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OTHER, str(home)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_a_second_process_waits_until_the_first_is_killed(tmp_path, run):
    settings = Settings(home=tmp_path)
    assert at_work(settings, "demo") is None
    with other(tmp_path) as first:
        assert first.stdout.readline() == "works\n"
        assert owner(settings, "demo") == first.pid
        with pytest.raises(GaveUp):
            take(settings, run, give_up)
        with other(tmp_path) as second:
            assert second.stdout.readline() == "waits\n"
            assert note_dead_runs(settings) == []
            first.kill()
            wait_for(lambda: second.stdout.readline() == "works\n", "the second at work")
            assert owner(settings, "demo") == second.pid
            second.kill()
    assert at_work(settings, "demo") is False
    assert owner(settings, "demo") is None


def test_a_record_says_what_became_of_a_killed_run_and_that_it_goes_on(tmp_path, run):
    settings = Settings(home=tmp_path)
    with other(tmp_path) as process:
        process.stdout.readline()
        process.kill()
    assert read_run(settings, "demo").status == "running"
    assert note_dead_runs(settings) == ["demo"]
    found = read_run(settings, "demo")
    assert (found.status, found.error) == ("crashed", DEAD)
    assert note_dead_runs(settings) == []
    take(settings, run, give_up)
    found = read_run(settings, "demo")
    assert (found.status, found.ended, found.error) == ("running", None, None)
    assert owner(settings, "demo") == os.getpid()
    take(settings, run, give_up)  # a subflow, or a task


def test_a_run_that_nobody_here_ever_worked_on_is_left_alone(tmp_path, run):
    settings = Settings(home=tmp_path)
    assert note_dead_runs(settings) == []
    finish(settings, run, "completed")
    assert at_work(settings, "demo") is None
