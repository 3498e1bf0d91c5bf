"""What a data check says: warnings that travel with the data set, errors that stop the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platforms.errors import DataError

# Enough to see the pattern; the rest is counted.
MAX_PROBLEMS = 20
MAX_PATHS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class DataWarning:
    """Something odd that does not stop a run.

    Attributes:
        code: stable name of the kind, such as ``near_duplicate``.
        message: one sentence that says what it means and what to do.
        paths: at most ``MAX_PATHS`` files it is about, relative to the data folder, printable.
    """

    code: str
    message: str
    paths: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the warning as JSON values."""
        return {"code": self.code, "message": self.message, "paths": list(self.paths)}


def warning(code: str, message: str, paths: Sequence[str] = ()) -> DataWarning:
    """Return a warning whose paths are made printable and cut to ``MAX_PATHS``."""
    return DataWarning(code=code, message=message, paths=tuple(map(shown, paths[:MAX_PATHS])))


def shown(path: str) -> str:
    """Return a path that any terminal, log and UTF-8 file can hold: odd characters escaped."""
    return path if path.isprintable() else repr(path)[1:-1]


def data_error(root: Path, problems: Sequence[str]) -> DataError:
    """Return one error that lists all problems of a data folder, the first 20 in words."""
    listed = "\n".join(f"  - {problem}" for problem in problems[:MAX_PROBLEMS])
    rest = len(problems) - MAX_PROBLEMS
    more = f"\n  - and {rest} more" if rest > 0 else ""
    found = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
    return DataError(
        f"The data folder '{shown(str(root))}' has {found}; nothing was uploaded. "
        f"Repair or remove what is listed and run again:\n{listed}{more}"
    )


def some(names: Sequence[str], limit: int = 5) -> str:
    """Return names in quotes with commas, cut to ``limit`` with a count of the rest."""
    quoted = ", ".join(f"'{shown(name)}'" for name in names[:limit])
    rest = len(names) - limit
    return f"{quoted} and {rest} more" if rest > 0 else quoted
