"""Locks between processes; the kernel releases them when their holder ends for any reason."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def held(path: Path, *, shared: bool = False, make_folder: bool = False) -> Iterator[None]:
    """Hold the lock of a file, which is created if needed; waits for it.

    The file is the one at ``path`` when the block begins, also when it was replaced meanwhile.

    Raises:
        FileNotFoundError: its folder is missing, or was removed meanwhile.
    """
    if make_folder:
        path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = _open(path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            if _is_at(descriptor, path):
                yield
                return
        finally:
            os.close(descriptor)


@contextmanager
def held_if_free(path: Path) -> Iterator[bool]:
    """Hold the lock of a file if nobody else does; gives whether it is held.

    Raises:
        FileNotFoundError: its folder is missing.
    """
    descriptor = _open(path)
    try:
        yield _taken(descriptor)
    finally:
        os.close(descriptor)


def kept_if_free(path: Path, content: bytes) -> bool:
    """Take the lock of a file for as long as this process lives, if nobody else has it; say whether
    it was taken. The file then holds ``content``.

    Raises:
        FileNotFoundError: its folder is missing.
    """
    descriptor = _open(path)
    if not _taken(descriptor):
        os.close(descriptor)
        return False
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, content, 0)
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(path: Path) -> int:
    # Children must not inherit it: they would hold on to the lock.
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
