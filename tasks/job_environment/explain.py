"""Run ``sm_entrypoints/explain.py`` in the job environment, which has smdebug and the rules."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict

from platforms.job_environment import ENTRY_POINTS, require_job_python
from tasks.job_environment.spoken import run_spoken

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
    lines = run_spoken([*command, "--", *paths], progress=progress, seconds=TIMEOUT_SECONDS)
    answer: Answer = json.loads(lines[-1])
    return answer
