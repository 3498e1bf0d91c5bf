"""The question at the terminal: what counts as an answer, and what as none."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.approval import ask_at_terminal, asker_of
from platforms.errors import ParameterError
from tasks.approval.question import Question, Reply
from tasks.parameters.run import DeploymentParameters
from tests.worlds.pipeline import ROOT, Whippet

HOUR = timedelta(hours=1)


def question(within: timedelta = HOUR) -> Question:
    return Question("pets", "90.0% right.", "# Deploy the model?", datetime.now(UTC) + within)


def look() -> None:
    """Nobody cancelled the run."""


@pytest.fixture
def typed(monkeypatch) -> Iterator[Callable[[str], None]]:
    """Type into a terminal of this process."""
    ours, its = os.openpty()
    with os.fdopen(its, encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        yield lambda text: os.write(ours, text.encode())
    os.close(ours)


@pytest.mark.parametrize(
    ("text", "answer"),
    [("yes\n", "yes"), ("Y\n", "yes"), (" no \n", "no"), ("\nwhat?\nyess\nyes\n", "yes")],
)
def test_only_a_yes_or_a_no_is_an_answer(typed, capsys, text, answer):
    typed(text)
    assert ask_at_terminal(question(), look) == Reply(answer)
    said = capsys.readouterr().err
    assert "# Deploy the model?" in said
    assert said.count("Type yes or no: ") == text.count("\n")


def test_no_answer_and_no_input_are_a_no(typed):
    late = ask_at_terminal(question(timedelta(seconds=-1)), look)
    assert (late.answer, late.reason[:17]) == ("no", "nobody answered b")
    typed("\x04")
    assert ask_at_terminal(question(), look) == Reply("no", "the input ended")


def test_a_cancel_ends_the_wait(typed):
    def cancelled() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask_at_terminal(question(), cancelled)


def test_without_a_terminal_a_certain_question_is_refused(monkeypatch):
    with Path(os.devnull).open(encoding="utf-8") as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        with pytest.raises(ParameterError, match="add --yes, or choose"):
            asker_of(DeploymentParameters(approve="always"), yes=False)
        said = asker_of(DeploymentParameters(approve="always"), yes=True)(question(), look)
        assert said == Reply("yes", "said with --yes")
        unasked = asker_of(DeploymentParameters(approve="when_worse"), yes=False)(question(), look)
        assert unasked == Reply("no", "there was no terminal to ask at")


@pytest.mark.slow
def test_the_command_says_so_before_it_starts_anything(tmp_path):
    whippet = Whippet(home=tmp_path / "home", api_url="")
    found = whippet.run("run", "--data", str(ROOT / "samples/clipart"), "--approve", "always")
    assert found.code == 1
    assert found.err.startswith("whippet: error: --approve always asks at the terminal")
    assert not whippet.home.exists()
    wrong = whippet.run("run", "--approve", "sometimes")
    assert wrong.code == 2
    assert "'always', 'when-worse', 'never'" in wrong.err
