"""What a data check reports: warnings that go with the data set, errors that stop the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from platforms.errors import DataError, shown
from platforms.files import write_atomically

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


def warning(code: str, message: str, paths: Sequence[str] = ()) -> DataWarning:
    """Return a warning whose paths are made printable and cut to ``MAX_PATHS``."""
    return DataWarning(code=code, message=message, paths=tuple(map(shown, paths[:MAX_PATHS])))


class DataProblems(DataError):
    """Raised when a data folder cannot be trained on; ``problems`` are all of them, in words."""

    def __init__(self, place: str, problems: Sequence[str], listed: Path | None = None) -> None:
        """Say what is wrong with ``place``; ``listed`` is a file with all of it."""
        rest = len(problems) - MAX_PROBLEMS
        lines = "\n".join(f"  - {problem}" for problem in problems[:MAX_PROBLEMS])
        more = f"\n  - and {rest} more" if rest > 0 else ""
        if more and listed:
            more += f"; all of them: {shown(str(listed))}"
        amount = "a problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(
            f"The data folder '{place}' has {amount}; nothing was uploaded. "
            f"Repair or remove what is listed and run again:\n{lines}{more}"
        )
        self.place, self.problems = place, tuple(problems)

    def named(self, place: str) -> DataProblems:
        """Return the same error about the folder under another name."""
        return DataProblems(place, self.problems)

    def listed_in(self, file: Path, place: str | None = None) -> DataProblems:
        """Return the same error; where it does not name all problems, they are in ``file`` now."""
        is_long = len(self.problems) > MAX_PROBLEMS
        if is_long:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, "".join(f"{each}\n" for each in self.problems).encode())
        return DataProblems(place or self.place, self.problems, listed=file if is_long else None)


def data_error(root: Path, *problems: str) -> DataProblems:
    """Return one error that lists all problems of a data folder, the first 20 in words."""
    return DataProblems(shown(str(root)), problems)
