"""How long the findings may take: they come with a training, and must not delay it."""

from __future__ import annotations

import time


class OutOfTimeError(Exception):
    """Raised when a part of the findings would take longer than there is time."""


class Deadline:
    """A moment after which no more is computed; of ``None`` seconds there is none."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    def check(self) -> None:
        """Return while there is time.

        Raises:
            OutOfTimeError: it is over.
        """
        if self._end is not None and time.monotonic() > self._end:
            raise OutOfTimeError
