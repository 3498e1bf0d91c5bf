"""The `whippet` command within this process: a new one takes seconds to import its libraries.

Whatever a command says must end its sentences once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.main import main
from tests.punctuation import doubled

# Nobody listens there: a mistake that is not found before a server is needed shows itself.
NO_SERVER = "http://127.0.0.1:9/api"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command gave back."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Answer]


def command_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return a function that runs the command over a home, in an environment without a server."""

    def run(home: Path, *argv: str, **environment: str) -> Answer:
        given = {
            "HOME": str(home.parent),
            "PREFECT_API_URL": NO_SERVER,
            "WHIPPET_HOME": str(home),
            **environment,
        }
        capsys.readouterr()
        with monkeypatch.context() as patched:
            for name in [name for name in os.environ if name.startswith(("AWS_", "WHIPPET_"))]:
                patched.delenv(name)
            for name, value in given.items():
                patched.setenv(name, value)
            code = main(argv)
        said = capsys.readouterr()
        assert doubled(said.out + said.err) == []
        return Answer(returncode=code, stdout=said.out, stderr=said.err)

    return run
