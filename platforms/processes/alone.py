"""Run a program that can neither outstay its time nor leave a process behind."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import IO

import psutil

from platforms.processes.process import identify, terminate_group

_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a program ended, and what it printed.

    Attributes:
        program: its name, for messages.
        status: its exit status; the negative number of the signal that ended it.
    """

    program: str
    status: int
    stdout: str
    stderr: str

    @property
    def problem(self) -> str:
        """The last line that it complained with, or else how it ended."""
        lines = self.stderr.strip().splitlines()
        return lines[-1].strip() if lines else f"{self.program} ended with exit code {self.status}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Where a program runs.

    Attributes:
        environment: all of its environment.
        cwd: its working folder; None for ours.
        own_session: False for a child of a supervisor: it stays in the process group that is
            ended as a whole when the supervisor was killed.
    """

    environment: Mapping[str, str]
    cwd: Path | None = None
    own_session: bool = True


@contextmanager
def alone(
    command: Sequence[str],
    surroundings: Surroundings,
    *,
    stdout: int | IO[bytes] = subprocess.PIPE,
    stderr: int | IO[bytes] = subprocess.PIPE,
    grace_seconds: float = 0.0,
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program that reads nothing; neither it nor what it started outlives the block.

    With a session of its own, it first has ``grace_seconds`` to end by itself.

    Raises:
        OSError: it cannot be started.
    """
    process = subprocess.Popen(
        command,
        env=surroundings.environment,
        cwd=surroundings.cwd,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=surroundings.own_session,
    )
    identity = identify(process.pid)
    with process:
        try:
            yield process
        finally:
            if surroundings.own_session:
                terminate_group(identity, grace_seconds)
            elif process.poll() is None:
                _kill_with_descendants(process.pid)


def _kill_with_descendants(pid: int) -> None:
    program = psutil.Process(pid)
    for process in (*program.children(recursive=True), program):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def run_alone(
    command: Sequence[str],
    surroundings: Surroundings,
    *,
    seconds: float,
    stop: Event | None = None,
) -> Finished:
    """Run a program to its end, whatever its exit status; see :func:`alone`.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it took more than ``seconds``, or ``stop`` was set: it was
            killed.
    """
    with alone(command, surroundings) as process:
        stdout, stderr = _output(process, seconds, stop)
    return Finished(
        program=Path(command[0]).name,
        status=process.returncode,
        stdout=stdout.decode("utf-8", errors="replace"),
        stderr=stderr.decode("utf-8", errors="replace"),
    )


def _output(
    process: subprocess.Popen[bytes], seconds: float, stop: Event | None
) -> tuple[bytes, bytes]:
    if stop is None:
        return process.communicate(timeout=seconds)
    deadline = time.monotonic() + seconds
    while True:
        try:
            return process.communicate(timeout=_LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            if stop.is_set() or time.monotonic() > deadline:
                raise
