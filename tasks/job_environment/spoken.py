"""Run a program of the job environment that tells on stderr how far it is, line by line."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from platforms.errors import DataError
from platforms.job_environment import program_surroundings
from platforms.processes.alone import alone
from platforms.processes.process import end_group


def run_spoken(
    command: Sequence[str], *, progress: Callable[[str], None], seconds: float
) -> list[str]:
    """Run an interpreter with a program to its end; return the lines of its stdout.

    Args:
        command: interpreter, program, and its arguments.
        progress: is told each line of stderr, when it is said.
        seconds: after so many it is ended.

    Raises:
        DataError: the program failed; its last line is the error.
        OSError: it cannot be started.
    """
    with tempfile.TemporaryFile() as stdout:
        last = ""
        surroundings = program_surroundings("LD_LIBRARY_PATH")
        with alone(command, surroundings, stdout=stdout) as process:
            timer = threading.Timer(seconds, end_group, [process.pid])
            timer.daemon = True
            timer.start()
            try:
                for line in _lines(process.stderr):
                    if last:
                        progress(last)
                    last = line
                process.wait()
            finally:
                timer.cancel()
        if process.returncode != 0:  # its last line is the error, and said as one
            name = Path(command[1]).name
            raise DataError(last or f"{name} ended with exit code {process.returncode}")
        if last:
            progress(last)
        stdout.seek(0)
        return stdout.read().decode(errors="replace").strip().splitlines()


def _lines(stream: IO[bytes] | None) -> Iterator[str]:
    lines = (line.decode("utf-8", errors="replace").strip() for line in stream or ())
    return filter(None, lines)
