"""What a file or a folder takes on the disk."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files below a folder; links count as nothing.

    What goes away meanwhile, or is closed to us, counts as nothing, too.
    """
    if path.is_symlink():
        return 0
    if not path.is_dir():
        with suppress(OSError):
            return path.stat().st_size
        return 0
    taken = 0
    for parent, _, names in os.walk(path):
        for name in names:
            with suppress(OSError):
                taken += os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - many of them
    return taken
