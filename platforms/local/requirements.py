"""Compare a source archive's ``requirements.txt`` with the job environment.

SageMaker installs that file into every container. If the job environment already has all of it,
there is nothing to do; for the rest see :mod:`platforms.local.boundary.requirements_layer`.
"""

from __future__ import annotations

from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from platforms.job_environment import ENTRY_POINTS, installed_distributions

# Of a job's source, and of a model that a job delivered.
_OURS = (ENTRY_POINTS / "requirements.txt", ENTRY_POINTS / "serving" / "requirements.txt")
# Options that name more requirements than the file itself.
_LEADING_ELSEWHERE = ("-r", "--requirement", "-e", "--editable")


def is_ours(code: Path) -> bool:
    """Tell whether the file is Whippet's own, which `make job-env` installs as far as it can."""
    file = code / "requirements.txt"
    return file.is_file() and file.read_bytes() in [each.read_bytes() for each in _OURS]


def needs_pip(code: Path, job_python: str) -> bool:
    """Tell whether a source's requirements.txt asks for more than the job environment has."""
    file = code / "requirements.txt"
    if not file.is_file():
        return False
    if is_ours(code):
        return False
    lines = [line.strip() for line in file.read_text("utf-8", errors="replace").splitlines()]
    if any(line.startswith(_LEADING_ELSEWHERE) for line in lines):
        return True
    return bool(unsatisfied(code, job_python))


def unsatisfied(code: Path, job_python: str) -> list[str]:
    """Return each requirement that the job environment does not meet, with what it has."""
    file = code / "requirements.txt"
    if not file.is_file():
        return []
    text = file.read_text("utf-8", errors="replace")
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    wanted = [line for line in lines if line and not line.startswith("-")]
    if not wanted:
        return []
    installed = installed_distributions(job_python)
    return [problem for line in wanted if (problem := _problem(line, installed))]


def _problem(line: str, installed: dict[str, str]) -> str | None:
    try:
        requirement = Requirement(line)
    except InvalidRequirement:
        return f"{line!r} (not a valid requirement)"
    if requirement.marker is not None and not requirement.marker.evaluate():
        return None
    version = installed.get(canonicalize_name(requirement.name))
    if version is None:
        return f"{line} (not installed)"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{line} (it has {version})"
    return None
