"""What a process that ended said last, in as many characters as a FailureReason has."""

from __future__ import annotations

import os
from pathlib import Path

_LOG_TAIL_BYTES = 8192


def shortened(text: str, most: int) -> str:
    """Return the first line, which sums up the failure, and as much of the end as fits."""
    if len(text) <= most:
        return text
    first = text.partition("\n")[0][: most // 2] + "\n…"
    return first + text[len(first) - most :]


def end_of(log: Path) -> str:
    """Return the end of a log; empty when there is none."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LOG_TAIL_BYTES))
            return file.read().decode("utf-8", errors="replace").strip()
    except OSError:
        return ""
