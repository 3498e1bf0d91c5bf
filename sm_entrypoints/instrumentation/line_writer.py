"""Append records to a file as they happen: bounded memory, small losses if killed."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import NamedTuple

FLUSH_LINES = 200
FLUSH_SECONDS = 2.0


class Place(NamedTuple):
    """Where in a training something was recorded; ``step`` counts within ``mode``, from 0."""

    step: int
    epoch: int
    mode: str


class LineWriter:
    """Append lines to one file, in batches.

    A line is on disk after at most ``FLUSH_LINES`` further lines, or with the first line that
    comes ``FLUSH_SECONDS`` after the last flush; ``kill -9`` loses no more than that.

    Raises:
        OSError: from any method, when the file cannot be written (disk full, no permission).
    """

    def __init__(self, path: Path, *, header: str | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self._lines: list[str] = []
        self._flushed = time.monotonic()
        self.bytes_written = 0
        if header is not None:
            self._begin(header)

    def _begin(self, header: str) -> None:
        try:
            self.write(header)
            self.flush()
        except OSError:
            with contextlib.suppress(OSError):
                self._file.close()
            raise

    def write(self, line: str) -> None:
        """Queue one line (without its line end)."""
        self._lines.append(line)
        self.bytes_written += len(line.encode()) + 1
        due = time.monotonic() - self._flushed >= FLUSH_SECONDS
        if due or len(self._lines) >= FLUSH_LINES:
            self.flush()

    def flush(self) -> None:
        """Hand everything queued to the operating system."""
        lines, self._lines = self._lines, []
        if lines:
            self._file.write("\n".join(lines) + "\n")
            self._file.flush()
        self._flushed = time.monotonic()

    def close(self) -> None:
        """Flush and close; a second call does nothing."""
        if not self._file.closed:
            try:
                self.flush()
            finally:
                self._file.close()
