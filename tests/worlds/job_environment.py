"""The environment with torch, which stands for the container of jobs: `make job-env` makes it."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
JOB_PYTHON = ROOT / ".venv-job" / "bin" / "python"

needs_job_environment = pytest.mark.skipif(
    not JOB_PYTHON.exists(), reason="needs the job environment: run `make job-env`"
)


def job_python() -> Path:
    """Return the interpreter of the job environment; skip the test where there is none."""
    if not JOB_PYTHON.exists():
        pytest.skip("needs the job environment: run `make job-env`")
    return JOB_PYTHON
