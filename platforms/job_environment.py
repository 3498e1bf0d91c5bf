"""Programs of the job environment, the interpreter that stands for the container.

The orchestrator has no torch and no smdebug: what needs them runs here, in a process of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from subprocess import SubprocessError
from threading import Event

from packaging.utils import canonicalize_name

from platforms.errors import SettingsError, WhippetError
from platforms.processes.alone import Finished, Surroundings, run_alone
from platforms.processes.environment import allowed_environment
from platforms.settings import PROJECT_ROOT

ENTRY_POINTS = PROJECT_ROOT / "sm_entrypoints"
_PROBE_SECONDS = 120.0
_INSTALLED = (
    "import json, importlib.metadata as m; "
    "print(json.dumps({d.metadata['Name']: d.version for d in m.distributions()}))"
)


def require_job_python(job_python: Path) -> None:
    """Check that there is an interpreter for jobs, endpoints and programs.

    Raises:
        SettingsError: there is none; says how to make it.
    """
    if job_python.is_file() and os.access(job_python, os.X_OK):
        return
    absent = "there is no" if not job_python.exists() else "it is not executable:"
    raise SettingsError(
        f"The job environment is missing: {absent} '{job_python}'. Create it with "
        "`make job-env`, or set WHIPPET_JOB_PYTHON to an interpreter that has torch."
    )


def program_surroundings(*also: str) -> Surroundings:
    """Return where our programs run: with the allowed variables, ``also``, and our code."""
    environment = {**allowed_environment(os.environ, *also), "PYTHONPATH": str(PROJECT_ROOT)}
    return Surroundings(environment=environment)


def run_program(
    command: Sequence[str], *also: str, seconds: float, stop: Event | None = None
) -> Finished:
    """Run an interpreter with one of :data:`ENTRY_POINTS` to its end; see :func:`run_alone`.

    Raises:
        OSError: it cannot be started.
        subprocess.TimeoutExpired: it took more than ``seconds``, or ``stop`` was set: it was
            killed.
    """
    finished = run_alone(command, program_surroundings(*also), seconds=seconds, stop=stop)
    return replace(finished, program=Path(command[1]).name)


def installed_distributions(job_python: Path | str) -> dict[str, str]:
    """Return the versions of what is installed in the job environment, by canonical name.

    Raises:
        WhippetError: it does not run, or does not say.
    """
    # Supervisors ask, too.
    surroundings = Surroundings(environment=allowed_environment(os.environ), own_session=False)
    command = [str(job_python), "-I", "-c", _INSTALLED]
    try:
        finished = run_alone(command, surroundings, seconds=_PROBE_SECONDS)
        if finished.status != 0:
            raise WhippetError(finished.stderr.strip()[-500:] or finished.problem)
        versions = json.loads(finished.stdout.strip().splitlines()[-1])
    except (OSError, SubprocessError, ValueError, IndexError) as error:
        raise WhippetError(str(error)) from error
    return {canonicalize_name(name): str(version) for name, version in versions.items() if name}
