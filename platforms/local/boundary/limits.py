"""Limits on what the processes of one job or model server take together, and their enforcement.

The parent checks five times a second, so this works without cgroups, for every user, and on macOS.
A job that takes more is ended like a container that is out of memory: by SIGKILL, exit code 137.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from platforms.processes.child import Child
from platforms.processes.marks import is_over
from platforms.settings import memory_bytes

POLL_SECONDS = 0.2
# New children may appear while the others are killed.
_ROUNDS = 20
# Never given back to the machine by dropping caches, and shared pages counted once.
_UNRECLAIMABLE = ("Pss_Anon:", "Pss_Shmem:")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLimits:
    """Limits for all processes together; None means no limit.

    Attributes:
        memory: as in ``WHIPPET_JOB_MEMORY``, such as ``8G``.
        processes: how many at once.
    """

    memory: str | None = None
    processes: int | None = None

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> JobLimits:
        """Return what :attr:`Settings.job_limits` wrote; records of before have none."""
        return cls(memory=record.get("job_memory"), processes=record.get("job_processes"))

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return self.memory is not None or self.processes is not None


class LimitWatch:
    """Looks at a process and at everything that it started."""

    def __init__(self, pid: int, limits: JobLimits, *, boundary: int = 0) -> None:
        """Watch the process ``pid``; ``boundary`` of all are the boundary's own."""
        self._limits = limits
        self._boundary = boundary
        self._known: set[psutil.Process] = set()
        self._group = pid if _group_of(pid) == pid else None
        with suppress(psutil.NoSuchProcess):
            self._known.add(psutil.Process(pid))

    def exceeded(self) -> str | None:
        """Say which limit is exceeded, and by how much; None when none is."""
        members = self._members()
        return self._too_many(members) or self._too_much(members)

    def kill(self) -> None:
        """Kill them all."""
        for _ in range(_ROUNDS):
            members = self._members()
            for each in members:
                with suppress(psutil.Error):
                    each.kill()
            if not members:
                return

    def _members(self) -> set[psutil.Process]:
        """Return all that run, also what has lost its parent."""
        processes: set[psutil.Process] = set()
        for each in self._known | self._in_group():
            if each not in processes and each.is_running():
                processes.add(each)
                with suppress(psutil.Error):
                    processes |= set(each.children(recursive=True))
        self._known = {each for each in processes if not is_over(each)}
        return self._known

    def _in_group(self) -> set[psutil.Process]:
        """Return the members of the process group, if it is theirs alone."""
        processes: set[psutil.Process] = set()
        if self._group is not None:
            for pid in psutil.pids():
                if _group_of(pid) == self._group:
                    with suppress(psutil.Error):
                        processes.add(psutil.Process(pid))
        return processes

    def _too_many(self, members: set[psutil.Process]) -> str | None:
        most, count = self._limits.processes, len(members) - self._boundary
        if most is None or count <= most:
            return None
        return f"it had {count} processes at once, more than WHIPPET_JOB_PROCESSES={most}"

    def _too_much(self, members: set[psutil.Process]) -> str | None:
        if self._limits.memory is None:
            return None
        most = memory_bytes(self._limits.memory)
        # Quickly read, and too high a number: only when it is over do the exact ones matter.
        if sum(map(_resident, members)) <= most:
            return None
        taken = sum(map(_own_memory, members))
        if taken <= most:
            return None
        count = len(members) - self._boundary
        where = f" in {count} processes" if count > 1 else ""
        return (
            f"it took {taken / 1024**2:,.0f} MiB of memory{where}, more than "
            f"WHIPPET_JOB_MEMORY={self._limits.memory}"
        )


def enforce_in_background(
    process: Child,
    limits: JobLimits,
    *,
    boundary: int,
    tell: Callable[[str], object],
) -> None:
    """Watch a process until it ends; ``tell`` hears what was exceeded, and then it is killed."""
    if not limits:
        return
    watch = LimitWatch(process.pid, limits, boundary=boundary)
    ended = threading.Event()

    def enforce() -> None:
        while process.poll() is None:
            over = watch.exceeded()
            if over is not None:
                with suppress(OSError):
                    tell(over)
                watch.kill()
                return
            ended.wait(POLL_SECONDS)

    threading.Thread(target=enforce, name="job-limits", daemon=True).start()


def _group_of(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except OSError:
        return None


def _resident(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _own_memory(process: psutil.Process) -> int:
    """Return a process's share of the memory that nothing but its end gives back, in bytes."""
    try:
        text = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:  # No such file system, or not ours to look at.
        return _resident(process)
    lines = [line.split() for line in text.splitlines()]
    parts = [int(words[1]) for words in lines if words[0] in _UNRECLAIMABLE]
    return 1024 * sum(parts) if parts else _resident(process)
