"""What a child process may see of our environment: never credentials, never ``PREFECT_*``."""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase

ALLOWED_VARIABLES = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TMPDIR",
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "CUDA_VISIBLE_DEVICES",
)


def allowed_environment(environment: Mapping[str, str], *also: str) -> dict[str, str]:
    """Return the part of our environment that a child may see.

    ``also`` names what this child needs besides; ``PIP_*`` names all that begin with ``PIP_``.
    OpenMP threads wait asleep unless the user says otherwise: by default they spin, and a second
    job, a model server or Prefect on the same cores then slows all of them several times.
    """
    names = (*ALLOWED_VARIABLES, *also)
    seen = {
        key: value
        for key, value in environment.items()
        if any(fnmatchcase(key, name) for name in names)
    }
    return {"OMP_WAIT_POLICY": "PASSIVE", **seen}
