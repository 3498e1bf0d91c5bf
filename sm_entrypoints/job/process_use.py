"""How much CPU a process used, and how long it waited for a free core, while it trained.

The system sampler sees all programs of the machine. It does not tell whether *this* process could
have used more. That needs its own CPU seconds, and the seconds in which its threads were ready to
run but had no core (Linux: ``/proc/<pid>/task/<thread>/schedstat``,
Documentation/scheduler/sched-stats).
"""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sm_entrypoints.job.containment import Containment

_TASKS = Path("/proc/self/task")
_NANOSECONDS = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    wall: float
    cpu: float
    switches: int
    waited: Mapping[str, float]


class ProcessUse:
    """Measure what is inside a ``with`` block; :meth:`document` has the result.

    Only this process counts, with all of its threads; loader processes do not. Threads that ended
    inside the block take their waiting time with them. Where the kernel does not tell, nothing is
    measured; what is inside runs in any case.
    """

    def __init__(self) -> None:
        self._containment = Containment("process use", on_failure=self._forget)
        self._before: _Reading | None = None
        self._between: _Reading | None = None
        self._after: _Reading | None = None

    def __enter__(self) -> Self:
        self._before = self._containment.run(_read)
        return self

    def __exit__(self, *_: object) -> None:
        self._after = self._containment.run(_read)

    def split(self) -> None:
        """Say that the whole network ran until now, and that its tail alone runs from here."""
        self._between = self._containment.run(_read)

    def _forget(self) -> None:
        self._before = self._between = self._after = None

    def document(self) -> dict[str, Any]:
        """Return the member ``process_use`` of ``training.json``, in seconds; {} before the end.

        After a :meth:`split` its member ``whole_network`` has the same numbers until then.

        ``waited_seconds`` sums over threads, so it may exceed ``wall_seconds``; None when the
        kernel does not tell. ``involuntary_switches``: how often a thread was put off its core.
        """
        before, between, after = self._before, self._between, self._after
        if before is None or after is None:
            return {}
        if between is None:
            return _use(before, after)
        return {**_use(before, after), "whole_network": _use(before, between)}


def _use(before: _Reading, after: _Reading) -> dict[str, float | int | None]:
    waited = sum(
        seconds - before.waited.get(thread, 0.0) for thread, seconds in after.waited.items()
    )
    return {
        "wall_seconds": after.wall - before.wall,
        "cpu_seconds": after.cpu - before.cpu,
        "waited_seconds": waited if after.waited else None,
        "involuntary_switches": after.switches - before.switches,
    }


def _read() -> _Reading:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return _Reading(
        wall=time.perf_counter(),
        cpu=usage.ru_utime + usage.ru_stime,
        switches=usage.ru_nivcsw,
        waited=_waited(),
    )


def _waited() -> dict[str, float]:
    """Return the seconds that each thread was ready but not running; {} where that is unknown."""
    seconds = {}
    for task in _TASKS.iterdir() if _TASKS.is_dir() else ():
        try:
            fields = (task / "schedstat").read_text(encoding="ascii").split()
            seconds[task.name] = int(fields[1]) / _NANOSECONDS
        except (OSError, ValueError, IndexError):
            continue  # the thread ended meanwhile, or the kernel keeps no such statistics
    return seconds
