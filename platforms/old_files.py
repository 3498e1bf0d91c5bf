"""Files of this machine that nobody needs any more, as a platform tells them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class OldFiles:
    """Something that can be removed without anybody missing it.

    Attributes:
        what: what it is, in words: ``working files of training job x``. bytes: what it takes.
        changed: when it was last of use. remove: removes it; safe to repeat.
    """

    what: str
    bytes: int
    changed: datetime
    remove: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """What must stay, whatever its age.

    Attributes:
        prefixes: beginnings of the names of jobs that the runs here started. words: everything
            that records name: names of jobs, URIs of objects. tag: what tells that a run made a
            job: of others, who keep no records of runs, nothing but working files may go.
    """

    prefixes: Collection[str] = ()
    words: frozenset[str] = frozenset()
    tag: str = ""

    def claims(self, job: str) -> bool:
        """Say whether a job is one of a run whose record is here."""
        return job in self.words or any(job.startswith(f"{each}-") for each in self.prefixes)


# Finds what is older than so long and not needed.
FindOldFiles = Callable[[timedelta, Needed], list[OldFiles]]
