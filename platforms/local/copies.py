"""Private copies of a bucket's files, for machines without copy-on-write mounts."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from platforms.errors import WhippetError

# ioctl_ficlone(2): the copy shares the blocks until one of the two is written to.
_FICLONE = 0x40049409
_SPARE_BYTES = 256 * 1024 * 1024


def copy_file(source: Path, target: Path) -> None:
    """Copy a file, by reflink where the file system knows it; its times are kept."""
    if not _cloned(source, target):
        shutil.copyfile(source, target)
    shutil.copystat(source, target)
    target.chmod(target.stat().st_mode | 0o200)


def _cloned(source: Path, target: Path) -> bool:
    try:
        import fcntl
    except ImportError:
        return False
    with source.open("rb") as file, target.open("wb") as copy:
        try:
            fcntl.ioctl(copy, _FICLONE, file.fileno())
        except OSError:
            return False
    return True


def copy_tree(source: Path, target: Path) -> None:
    """Copy the regular files below a folder into a new folder.

    Raises:
        WhippetError: the disk has no room for them.
    """
    files = [Path(folder, name) for folder, _, names in os.walk(source) for name in sorted(names)]
    target.mkdir(parents=True, exist_ok=True)
    if not _clones(files, target):
        _require_room(source, sum(path.stat().st_size for path in files if path.is_file()))
    for path in files:
        if path.is_file() and not path.is_symlink():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy_file(path, copy)


def _clones(files: list[Path], target: Path) -> bool:
    """Tell whether copies in ``target`` take no additional space."""
    if not files or not files[0].is_file():
        return False
    trial = target / ".clone"
    try:
        return _cloned(files[0], trial)
    finally:
        trial.unlink(missing_ok=True)


def _require_room(source: Path, needed: int) -> None:
    free = shutil.disk_usage(source).free
    if needed + _SPARE_BYTES > free:
        raise WhippetError(
            f"a private copy of {source} needs {needed / 1024**2:,.0f} MiB, and "
            f"{free / 1024**2:,.0f} MiB are free: make room, or run where "
            "WHIPPET_BOUNDARY=namespaces works, which copies nothing"
        )


def remove_tree(folder: Path) -> None:
    """Remove a folder whatever the modes inside: a job, or the kernel, may have closed some."""
    if not folder.is_dir() or folder.is_symlink():
        return
    for parent, names, _ in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)  # noqa: PTH118 - many of them
            if not os.access(path, os.R_OK | os.W_OK | os.X_OK, follow_symlinks=False):
                with suppress(OSError):
                    os.chmod(path, 0o700)  # noqa: PTH101
    shutil.rmtree(folder, ignore_errors=True)
