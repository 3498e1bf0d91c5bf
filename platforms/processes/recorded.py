"""A process of ours as a file remembers it, until it has ended."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from platforms.files import write_atomically
from platforms.processes.process import ProcessId, alive


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(ProcessId):
    """What a file says of a process; a kind of process adds what else is to be known of it."""

    @classmethod
    def of(cls, process: ProcessId, **more: Any) -> Self:
        """Return the record of a process; ``more`` are the members of its kind."""
        return cls(**asdict(process), **more)

    def write(self, path: Path) -> None:
        """Write it, in place of what was there."""
        write_atomically(path, json.dumps(asdict(self)).encode())


R = TypeVar("R", bound=Recorded)


def read_recorded(path: Path, kind: type[R]) -> R | None:
    """Return what a file says of a process, None unless that process still runs."""
    try:
        found = kind(**json.loads(path.read_text("utf-8")))
    except (FileNotFoundError, ValueError, TypeError):  # none, or not written by us
        return None
    return found if alive(found) else None
