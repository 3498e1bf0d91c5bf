"""The kills of jobs, in the environment of jobs: this one has no torch."""

from __future__ import annotations

import json
import os
import subprocess

from tests.faults.table import Row
from tests.worlds.job_environment import JOB_PYTHON, ROOT


def every_job_kill(*, few: bool = False) -> list[Row]:
    """Kill jobs at all of their moments, or at a few; print what did not hold.

    Raises:
        RuntimeError: the program could not do it; says what it printed.
    """
    command = [str(JOB_PYTHON), "-m", "tests.faults.job_kills", *(["--few"] if few else [])]
    last = ""
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        for line in program.stdout:
            if last:
                print(last, flush=True)
            last = line.rstrip("\n")
    try:
        return [Row(**row) for row in json.loads(last)]
    except (ValueError, TypeError):
        raise RuntimeError(f"{' '.join(command)} ended with {program.returncode}: {last}") from None
