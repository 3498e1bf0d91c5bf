"""Files and folders that a killed process was about to put in place."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from platforms.local.copies import remove_tree
from platforms.local.disk.sizes import size_of
from platforms.old_files import OldFiles

# Nobody writes one file for so long; a shorter age would take what is being written.
LEAST_AGE = timedelta(hours=6)
# ``name#digits``: our own and obstore's. The folders: ours, of works that end by removing them.
_STAGED = re.compile(r".*#[0-9]{6,}", re.DOTALL)
_FOLDERS = re.compile(
    r"\.(improvement|examine|explaining|fetch|download|upload|new|deleted|boundary)-[\w-]+"
)
# The user's data may be mirrored here, and jobs' own trees go as a whole.
_SPARED = ("opt", "prefect", "pythons")


def unfinished(home: Path, age: timedelta) -> Iterator[OldFiles]:
    """Yield what lies below ``home`` half written, and was not touched for that long."""
    before = datetime.now(UTC) - max(age, LEAST_AGE)
    for parent, folders, files in os.walk(home):
        for name in [each for each in folders if _FOLDERS.fullmatch(each)]:
            folders.remove(name)
            yield from _if_old(Path(parent, name), before)
        folders[:] = [each for each in folders if each not in _SPARED]
        for name in [each for each in files if _STAGED.fullmatch(each)]:
            yield from _if_old(Path(parent, name), before)


def _if_old(path: Path, before: datetime) -> Iterator[OldFiles]:
    try:
        changed = datetime.fromtimestamp(path.stat().st_mtime, tz=UTC)
    except OSError:
        return
    if changed < before:
        yield OldFiles(
            what=f"half-written {path.name}",
            bytes=size_of(path),
            changed=changed,
            remove=partial(_remove, path),
        )


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    else:
        path.unlink(missing_ok=True)
