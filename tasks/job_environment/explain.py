"""Run ``sm_entrypoints/explain.py`` in the job environment, which has smdebug and the rules."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from platforms.errors import DataError
from platforms.settings import PROJECT_ROOT
from tasks.job_environment.weights import require_job_python

PROGRAM = PROJECT_ROOT / "sm_entrypoints" / "explain.py"
# It limits itself to a few minutes; this is for a disk or a file that hangs.
TIMEOUT_SECONDS = 1800.0
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")


def run_program(
    roots: Sequence[Path],
    output: Path,
    *,
    job_python: Path,
    progress: Callable[[str], None],
    others: Sequence[Path] = (),
) -> Mapping[str, Any]:
    """Judge the traces in ``roots`` into the new folder ``output``; return the program's answer.

    Args:
        roots: see ``sm_entrypoints.explain.explain``.
        output: gets the layout of a job's output, with rules and verdict.
        job_python: interpreter of the job environment.
        progress: is told each line that the program says.
        others: such outputs of other jobs, which this one is compared with.

    Raises:
        DataError: there is nothing to explain; says what was looked for.
        SettingsError: the job environment is missing.
    """
    require_job_python(job_python)
    options = [f"--other={other.resolve()}" for other in others]
    paths = [str(root.resolve()) for root in roots]
    command = [str(job_python), str(PROGRAM), "--output", str(output.resolve()), *options]
    with tempfile.TemporaryFile() as stdout:
        last = ""
        with _running([*command, "--", *paths], stdout.fileno()) as process:
            for line in filter(None, map(str.strip, process.stderr or ())):
                if last:
                    progress(last)
                last = line
        if process.returncode != 0:  # its last line is the error, and said as one
            raise DataError(last or f"{PROGRAM.name} ended with exit code {process.returncode}")
        if last:
            progress(last)
        stdout.seek(0)
        lines = stdout.read().decode(errors="replace").strip().splitlines()
    answer: Mapping[str, Any] = json.loads(lines[-1])
    return answer


@contextmanager
def _running(command: Sequence[str], stdout: int) -> Iterator[subprocess.Popen[str]]:
    """Run a program in a session of its own; no child of it outlives the block."""
    kept = {name: value for name, value in os.environ.items() if name in _ENVIRONMENT}
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**kept, "PYTHONPATH": str(PROJECT_ROOT)},
        start_new_session=True,
    )
    timer = threading.Timer(TIMEOUT_SECONDS, _kill, [process])
    timer.daemon = True
    timer.start()
    try:
        yield process
        process.wait()
    finally:
        timer.cancel()
        _kill(process)
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
