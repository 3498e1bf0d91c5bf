"""Where a job's seconds go, counted from the start of its process."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_STATUS = Path("/proc/self/stat")


@dataclass(slots=True)
class Clock:
    """Seconds from one lap to the next."""

    started: float
    last: float

    @classmethod
    def start(cls, *, age: float = 0.0) -> Self:
        """Return a clock that has been running for ``age`` seconds: its first lap has them."""
        started = time.perf_counter() - age
        return cls(started, started)

    def lap(self) -> float:
        """Return the seconds since the last lap."""
        before, self.last = self.last, time.perf_counter()
        return self.last - before

    def total(self) -> float:
        """Return the seconds since the start."""
        return time.perf_counter() - self.started


def process_age() -> float:
    """Return the seconds since this process was created, exact to the kernel's tick (10 ms).

    0 where there is no ``/proc``. psutil's ``create_time()`` is wrong by up to a second: it adds
    to the boot time, which Linux tells in whole seconds.
    """
    try:
        status = _STATUS.read_text(encoding="utf-8")
    except OSError:
        return 0.0
    # proc(5): field 22 is the start in ticks after boot; the second, a name, may hold blanks.
    ticks = int(status.rpartition(")")[2].split()[19])
    started = ticks / os.sysconf("SC_CLK_TCK")
    return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started)
