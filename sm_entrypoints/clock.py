"""Where the seconds of a job go, from the start of its process on."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self

import psutil


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
    """Return the seconds since this process was created, exact to the kernel's tick (10 ms)."""
    return max(0.0, time.time() - psutil.Process().create_time())
