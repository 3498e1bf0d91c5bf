"""Run ``sm_entrypoints/explain.py`` in the job environment, which has smdebug and the rules."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, TypedDict

from platforms.errors import DataError
from platforms.job_environment import ENTRY_POINTS, program_surroundings, require_job_python
from platforms.processes.alone import alone
from platforms.processes.process import end_group

PROGRAM = ENTRY_POINTS / "explain.py"
# It limits itself to a few minutes; this is for a disk or a file that hangs.
TIMEOUT_SECONDS = 1800.0


class ForeignRule(TypedDict):
    """What a rule of SageMaker's own ProfilerReport found."""

    rule: str
    triggered: int
    violations: int
    datapoints: int
    parameters: dict[str, str]


class Answer(TypedDict):
    """The program's answer: the parts that it found, notes on them, SageMaker's own rules."""

    parts: dict[str, str]
    notes: list[str]
    sagemaker_rules: list[ForeignRule]


def run_program(
    roots: Sequence[Path],
    output: Path,
    *,
    job_python: Path,
    progress: Callable[[str], None],
    others: Sequence[Path] = (),
) -> Answer:
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
        surroundings = program_surroundings("LD_LIBRARY_PATH")
        with alone([*command, "--", *paths], surroundings, stdout=stdout) as process:
            timer = threading.Timer(TIMEOUT_SECONDS, end_group, [process.pid])
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
            raise DataError(last or f"{PROGRAM.name} ended with exit code {process.returncode}")
        if last:
            progress(last)
        stdout.seek(0)
        lines = stdout.read().decode(errors="replace").strip().splitlines()
    answer: Answer = json.loads(lines[-1])
    return answer


def _lines(stream: IO[bytes] | None) -> Iterator[str]:
    lines = (line.decode("utf-8", errors="replace").strip() for line in stream or ())
    return filter(None, lines)
