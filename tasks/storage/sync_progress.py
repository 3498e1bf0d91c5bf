"""The progress of a sync: files, bytes, rate, and remaining time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

_MB = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What was transferred so far, of what; ``seconds`` since the first byte."""

    files: int
    of_files: int
    bytes: int
    of_bytes: int
    seconds: float

    @property
    def rate(self) -> float:
        """Bytes a second; 0 before the first file."""
        return self.bytes / self.seconds if self.seconds > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Seconds to the end at this rate; None before there is a rate."""
        return (self.of_bytes - self.bytes) / self.rate if self.rate else None

    def __str__(self) -> str:
        left = self.seconds_left
        end = "" if left is None else f", {self.rate / _MB:.1f} MB/s, {_duration(left)} left"
        return (
            f"{self.files:,} of {self.of_files:,} files, "
            f"{self.bytes / _MB:,.1f} of {self.of_bytes / _MB:,.1f} MB{end}"
        )


class Meter:
    """Counts transfers and tells ``show`` after each."""

    def __init__(
        self, of_files: int, of_bytes: int, show: Callable[[Moved], None] | None = None
    ) -> None:
        """Start the clock."""
        self._of_files, self._of_bytes, self._show = of_files, of_bytes, show
        self._files = self._bytes = 0
        self._started = time.monotonic()

    def add(self, size: int) -> None:
        """Count one file of ``size`` bytes."""
        self._files += 1
        self._bytes += size
        if self._show:
            self._show(
                Moved(
                    files=self._files,
                    of_files=self._of_files,
                    bytes=self._bytes,
                    of_bytes=self._of_bytes,
                    seconds=time.monotonic() - self._started,
                )
            )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
