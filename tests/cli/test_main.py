from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from cli.main import main
from tests.cli.command import NO_SERVER, Command, command_of

ROOT = Path(__file__).resolve().parents[2]


def of_its_own(home: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """Run the command as people do, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *argv],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "WHIPPET_HOME": str(home / "whippet"),
            "PREFECT_API_URL": NO_SERVER,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture
def whippet(monkeypatch, capsys) -> Command:
    """The command within this process; no server may be needed to find a mistake."""
    return command_of(monkeypatch, capsys)


@pytest.mark.slow
def test_mistakes_in_the_command_itself_are_shown_with_its_usage(awkward_path):
    for argv in (["nonsense"], [], ["run", "--max-jobs", "many"], ["run", "--strategy", "Best"]):
        found = of_its_own(awkward_path, *argv)
        assert found.returncode == 2
        assert "usage: whippet" in found.stderr
        assert "Traceback" not in found.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["run", "--model", "resnet81"], "unknown model 'resnet81': did you mean resnet18"),
        (["run", "--range", "lr=1:0.1"], "--range 'lr=1:0.1': range is reversed"),
        (["run", "--range", "lr=1"], None),
        (["run", "--range", "lr"], "write NAME=LOW:HIGH"),
        (["run", "--set", "lrr=1"], "unknown hyperparameter 'lrr': did you mean 'lr'?"),
        (["run", "--max-jobs", "0"], "max_jobs"),
        (["run", "--hours-to-live", "nan"], "hours_to_live"),
        (["run", "--weights", "none", "--trainable", "head"], "freezes a random backbone"),
        (["run", "--resume", "nothing"], "there is no run 'nothing'"),
        (["predict", "no-such-file.jpg"], "--endpoint"),
        (["predict", "no such é.jpg", "--endpoint", "e"], "no such é.jpg"),
        (["predict", "README.md", "--endpoint", "e"], "not a JPEG or PNG"),
        (["logs", "no-such-job"], "no training or transform job 'no-such-job'"),
        (["clean-up", "no-such-endpoint"], "no endpoint 'no-such-endpoint'"),
    ],
)
def test_bad_input_is_one_sentence_before_any_work(whippet, awkward_path, argv, message):
    found = whippet(awkward_path / "whippet", *argv)
    assert found.returncode == 1
    assert "Traceback" not in found.stderr
    assert found.stderr.startswith("whippet: error: ")
    assert len(found.stderr.strip().splitlines()) == 1
    assert found.stdout == ""
    # `lr=1` is a search over one value, which is allowed: only the server is missing.
    assert (message or "PREFECT_API_URL") in found.stderr
    assert not (awkward_path / "whippet" / "runs").exists()


@pytest.mark.slow
def test_a_mistake_as_people_meet_it(awkward_path):
    found = of_its_own(awkward_path, "run", "--model", "resnet81")
    assert (found.returncode, found.stdout) == (1, "")
    assert found.stderr.startswith("whippet: error: architecture: unknown model 'resnet81'")
    assert len(found.stderr.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("argv", "message"),
    [(["jobs"], "no jobs"), (["endpoints"], "no endpoints"), (["clean-up"], "nothing to remove")],
)
def test_nothing_there_is_no_error(whippet, awkward_path, argv, message):
    found = whippet(awkward_path / "whippet", *argv)
    assert (found.returncode, found.stdout.strip(), found.stderr) == (0, message, "")


def test_debug_shows_where_it_happened(whippet_home):
    with pytest.raises(Exception, match="there is no run 'nothing'"):
        main(["--debug", "run", "--resume", "nothing"])


def test_the_same_mistake_without_debug_is_an_exit_code(whippet_home, capsys):
    assert main(["run", "--resume", "nothing"]) == 1
    assert capsys.readouterr().err.startswith("whippet: error: there is no run 'nothing' in ")


def test_a_server_that_is_gone_is_told_in_one_sentence(monkeypatch, capsys):
    def gone(arguments: object) -> int:
        raise httpx.ConnectError("All connection attempts failed.")

    monkeypatch.setattr("cli.main._dispatch", gone)
    assert main(["doctor"]) == 1
    assert capsys.readouterr().err == (
        "whippet: error: the Prefect server did not answer (All connection attempts failed): "
        "start it again with `whippet up`\n"
    )
