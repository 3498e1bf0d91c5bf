"""Nobody but its owner gets into Whippet's folder, whatever the umask.

Records, logs, pictures, archives, a database and logins lie in there, written by many programs,
jobs and libraries among them. So it is the folder that is closed, not each file. What a user asks
for elsewhere (``--out``, ``whippet fetch``) follows the umask, as with any other program.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

PRIVATE = 0o700
_OTHERS = 0o077
# What Whippet makes in a folder that it shares with the rest of the world.
_OURS = (
    *("boundary", "converted", "data-check", "endpoint-configs", "endpoints", "explained"),
    *("features", "models", "prefect", "runs", "s3", "sources", "training-jobs"),
    *("transform-jobs", "tuning-jobs", "warm", "weights"),
    *("server.json", "server.log", ".server.lock"),
)


def make_home(home: Path) -> None:
    """Create Whippet's folder for its owner alone, or close the one that is there.

    Raises:
        OSError: it cannot be created.
    """
    if not home.is_dir():
        home.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    close_home(home)


def close_home(home: Path) -> None:
    """Close Whippet's folder, if it exists, to everybody but its owner.

    A folder that is more than Whippet's, such as ``/tmp`` or a person's home, stays open; what
    Whippet made in it is closed. So does what belongs to somebody else, or has no permissions.
    """
    if _is_shared(home):
        for name in _OURS:
            _close(home / name)
    else:
        _close(home)


def _close(path: Path) -> None:
    try:
        status = path.stat()
        mode = stat.S_IMODE(status.st_mode)
        if mode & _OTHERS and status.st_uid == os.geteuid():
            path.chmod(mode & ~_OTHERS)
    except OSError:  # not there, or on a file system that has no modes
        return


def _is_shared(home: Path) -> bool:
    try:
        sticky = bool(home.stat().st_mode & stat.S_ISVTX)
        resolved = home.resolve()
        return sticky or Path("~").expanduser().resolve().is_relative_to(resolved)
    except (OSError, RuntimeError):  # not there; a user without a home
        return False
