"""Count requests by the minute, in a file that outlives the server: who asks when is nobody asking.

A line for each minute with requests, of a fixed width so that the last one can be written over:
the minute since 1970, and how many requests came in it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

_LINE = "{minute:>12} {count:>12}\n"
_WIDTH = len(_LINE.format(minute=0, count=0))


class RequestCounter:
    """Counts for one server at a time; without a file it counts for nobody."""

    def __init__(self, path: Path | None) -> None:
        self._file = -1
        self._minute, self._count, self._at = 0, 0, 0
        if path is not None:
            with suppress(OSError):
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
                # After a last line that was cut short.
                self._at = os.fstat(self._file).st_size // _WIDTH * _WIDTH
                self._go_on()

    def note(self) -> None:
        """Count one request now; a full disk is no reason to refuse it."""
        if self._file < 0:
            return
        minute = int(time.time() // 60)
        if minute != self._minute:
            self._at += _WIDTH if self._count else 0
            self._minute, self._count = minute, 0
        self._count += 1
        line = _LINE.format(minute=minute, count=self._count).encode()
        with suppress(OSError):
            os.pwrite(self._file, line, self._at)

    def _go_on(self) -> None:
        """Take the last line up: a server that is restarted goes on with its minute."""
        if self._at:
            last = os.pread(self._file, _WIDTH, self._at - _WIDTH).split()
            if len(last) == 2 and all(each.isdigit() for each in last):
                self._minute, self._count = int(last[0]), int(last[1])
                self._at -= _WIDTH
