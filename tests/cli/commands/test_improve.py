"""``whippet improve`` where no job is needed: what it refuses, and nothing to change."""

from __future__ import annotations

import pytest

from cli.commands.improve import print_improvement
from cli.main import main
from platforms.files import read_json, write_json
from tasks.improve.result import improvement
from tests.worlds.improvements import VERDICT, comparison, planned, write_run


@pytest.fixture(autouse=True)
def _nobody_answers(monkeypatch):
    # A mistake that is not found before a server is needed shows itself.
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")


def test_nothing_to_change_needs_no_server_and_no_job(whippet_home, capsys):
    write_run(whippet_home, verdict={**VERDICT, "change": None, "sentence": "All is well."})
    assert main(["improve"]) == 0
    assert capsys.readouterr().out == "nothing to change: All is well.\n"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["ghost"], "there is no run 'ghost'"),
        (["--change", "num_workers"], "--change 'num_workers': write NAME=VALUE"),
        (["--change", "num_worker=2"], "unknown hyperparameter 'num_worker': did you mean"),
        (["--seconds", "1"], "seconds: Input should be greater than or equal to 5"),
        (["--pairs", "2"], "pairs: Input should be greater than or equal to 6"),
    ],
)
def test_mistakes_are_one_sentence(whippet_home, capsys, argv, message):
    write_run(whippet_home)
    assert main(["improve", *argv]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("whippet: error: ")
    assert message in said.err


def test_a_run_without_a_verdict_says_what_to_do(whippet_home, capsys):
    write_run(whippet_home, verdict=None)
    assert main(["improve"]) == 1
    assert "has no verdict" in capsys.readouterr().err


def test_a_change_that_was_kept_is_given_to_the_same_run_again(whippet_home, capsys):
    run = write_run(whippet_home)
    path = whippet_home / "runs" / run.name / "run.json"
    found = improvement(planned(whippet_home), None, comparison(), None)
    print_improvement(planned(whippet_home), found)
    assert (
        "Give it to the next run:\n  whippet run … --set num_workers=2" in capsys.readouterr().out
    )
    parameters = {"tuning": {}, "data": {"path": "/pets"}, "model": {"architecture": "alexnet"}}
    write_json(path, {**read_json(path), "parameters": parameters})
    print_improvement(planned(whippet_home), found)
    assert capsys.readouterr().out.endswith(
        "Run everything again with the change:\n"
        "  whippet run --data /pets --model alexnet --set num_workers=2\n"
    )
