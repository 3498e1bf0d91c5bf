"""The question before a deployment, asked at the terminal of ``whippet run``."""

from __future__ import annotations

import select
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from platforms.errors import ParameterError
from tasks.approval.asking import Asker
from tasks.approval.question import Question, Reply
from tasks.parameters.run import DeploymentParameters

_LOOK_SECONDS = 5.0
_ANSWERS: dict[str, Literal["yes", "no"]] = {"yes": "yes", "y": "yes", "no": "no", "n": "no"}


def asker_of(deployment: DeploymentParameters, *, yes: bool) -> Asker:
    """Return who answers the question: ``--yes``, or who sits at the terminal.

    Without either, a question that may come (``when_worse``) is answered with no.

    Raises:
        ParameterError: the question will come (``always``), and nobody could answer it.
    """
    if yes:
        return lambda question, look: Reply("yes", "said with --yes")
    if sys.stdin.isatty():
        return ask_at_terminal
    if deployment.approve == "always":
        raise ParameterError(
            "--approve always asks at the terminal, and there is none: add --yes, or choose "
            "--approve when-worse (then a question is a no) or --approve never"
        )
    return lambda question, look: Reply("no", "there was no terminal to ask at")


def ask_at_terminal(question: Question, look: Callable[[], None]) -> Reply:
    """Print the question; return the answer, which is no at the end of its time, or of the input.

    ``look`` is called while nobody types; it raises when the run was cancelled.
    """
    print(f"\n{question.markdown or question.sentence}\n", file=sys.stderr)
    while True:
        print("Deploy it? Type yes or no: ", end="", file=sys.stderr, flush=True)
        line = _line(question.until, look)
        if line is None:
            return Reply("no", f"nobody answered by {question.until:%Y-%m-%d %H:%M} UTC")
        if not line:  # Ctrl-D
            return Reply("no", "the input ended")
        answer = _ANSWERS.get(line.strip().casefold())
        if answer is not None:
            return Reply(answer)


def _line(until: datetime, look: Callable[[], None]) -> str | None:
    """Return a line as it was typed, empty at the end of the input; None when the time is up."""
    while (left := (until - datetime.now(UTC)).total_seconds()) > 0:
        look()
        ready, _, _ = select.select([sys.stdin], [], [], min(_LOOK_SECONDS, left))
        if ready:
            return sys.stdin.readline()
    return None
