"""Remember what was found in files, for as long as they stay what they were.

A file is known by device, inode, size, and the times of its last write and of its last change of
any kind, in nanoseconds. A program can set the former back; nothing but a clock that was set back
can do so with the latter, so an edit of the same size with an older time is found. A file that
changed within the last seconds is not remembered: clocks of file systems tick in milliseconds,
and another write could fall into the same tick.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from pydantic import JsonValue

from platforms.files import write_atomically

_VERSION = 1
_SETTLED_SECONDS = 2.0


def identity(path: Path) -> str:
    """Return what stays the same only while the file does.

    Raises:
        OSError: no such file.
    """
    return _identity(path.stat())


def _identity(found: os.stat_result) -> str:
    return (
        f"{found.st_dev:x}-{found.st_ino:x}-{found.st_size:x}-"
        f"{found.st_mtime_ns:x}-{found.st_ctime_ns:x}"
    )


class StatCache:
    """JSON values by file, in one JSON file; without it, or with a broken one, nothing is known.

    ``kind`` says what the values are and how they were made: another kind starts empty. Safe to use
    from several threads.
    """

    def __init__(self, file: Path, kind: str) -> None:
        """Read ``file`` if it is there."""
        self._file = file
        self._kind = kind
        self._known = self._read()
        self._seen: dict[str, tuple[str, JsonValue]] = {}

    def get(self, path: Path) -> JsonValue:
        """Return the value of a file, or None when it is not known or the file changed."""
        name = str(path)
        known = self._known.get(name)
        if known is None or known[0] != identity(path):
            return None
        self._seen[name] = known
        return known[1]

    def put(self, path: Path, before: str, value: JsonValue) -> None:
        """Remember a value computed while the file's identity was ``before``."""
        found = path.stat()
        if _identity(found) == before and time.time() - found.st_ctime > _SETTLED_SECONDS:
            self._seen[str(path)] = (before, value)

    def save(self) -> None:
        """Write what was asked for or learnt since the start; files not seen are forgotten."""
        if self._seen == self._known:
            return
        value = {"version": _VERSION, "kind": self._kind, "files": self._seen}
        # ASCII: a name that is no UTF-8 has surrogates, which only an escape can hold.
        write_atomically(self._file, json.dumps(value, separators=(",", ":")).encode("ascii"))

    def _read(self) -> dict[str, tuple[str, JsonValue]]:
        try:
            value = json.loads(self._file.read_bytes())
            if (value["version"], value["kind"]) != (_VERSION, self._kind):
                return {}
            return {str(path): (str(key), found) for path, (key, found) in value["files"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}
