"""Start a program of the job environment for a while, alone, and leave nothing of it behind."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from platforms.job_environment import ENTRY_POINTS
from platforms.processes.alone import Surroundings, alone
from platforms.processes.environment import allowed_environment

_GRACE_SECONDS = 10.0
_TAIL_BYTES = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long each part of a rehearsal may take, in seconds."""

    build: float = 180
    handlers: float = 180
    start: float = 180
    request: float = 65  # SageMaker gives a request 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where an archive is rehearsed: a temporary folder, the interpreter, the time allowed.

    Attributes:
        folder: holds ``model`` (the extracted archive), reports and logs; removed afterwards.
    """

    folder: Path
    job_python: Path
    patience: Patience = Patience()

    @property
    def model(self) -> Path:
        """The extracted archive."""
        return self.folder / "model"

    @contextmanager
    def running(
        self, program: str, *argv: str, log: str, variables: Mapping[str, str] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run an entry point while the block lasts, then end it with all that it started.

        It sees the allowed part of our environment and ``variables``, and runs in an empty folder:
        what works only from the user's own folder, or with the user's credentials, fails here.
        """
        elsewhere = self.folder / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        environment = {**allowed_environment(os.environ), "PYTHONUNBUFFERED": "1"}
        surroundings = Surroundings(environment={**environment, **(variables or {})}, cwd=elsewhere)
        command = [str(self.job_python), str(ENTRY_POINTS / program), *argv]
        with (
            (self.folder / log).open("wb") as output,
            alone(
                *(command, surroundings),
                stdout=output,
                stderr=subprocess.STDOUT,
                grace_seconds=_GRACE_SECONDS,
            ) as process,
        ):
            yield process

    def run(self, program: str, *argv: str, log: str, seconds: float) -> int | None:
        """Run an entry point to its end; return its exit status, None when it took too long."""
        with self.running(program, *argv, log=log) as process:
            try:
                return process.wait(seconds)
            except subprocess.TimeoutExpired:
                return None

    def tail(self, log: str) -> list[str]:
        """Return the last lines of a log."""
        data = (self.folder / log).read_bytes()[-_TAIL_BYTES:]
        return data.decode("utf-8", errors="replace").strip().splitlines()


def ending(status: int) -> str:
    """Say how a process ended, for people."""
    if status >= 0:
        return f"exit status {status}"
    name = signal.Signals(-status).name
    return f"killed by {name}" + (", most often memory" if name == "SIGKILL" else "")
