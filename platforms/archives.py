"""Tar archives of jobs: reproducible to write, safe to read.

Equal input gives the same bytes. Python's own extraction filters were bypassed twice in 2025
(CVE-2025-4517, CVE-2025-4330), so they are not used for reading: only regular files and folders are
extracted, only under relative names without ``..``, only into a new folder, with limits on the
count, the size and the compression ratio.
"""

from __future__ import annotations

import gzip
import os
import secrets
import shutil
import stat
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from platforms.errors import WhippetError
from platforms.files import replacing
from sm_entrypoints.contract.kill_points import label_of, reach

MAX_MEMBERS = 10_000
MAX_BYTES = 2 * 1024**3
MAX_RATIO = 100
# A tiny archive of text may well compress more: the ratio counts from here on.
_RATIO_FROM_BYTES = 10 * 1024**2
_CHUNK = 1024 * 1024
# What the folder itself is called: SageMaker's SDK adds it with the name "/", others with ".".
_ROOTS = frozenset({"", ".", "/"})
# Weights do not compress; the fastest level costs a tenth of the default's time.
_LEVEL = 1


class ArchiveError(WhippetError):
    """Raised when an archive is not one, or holds what this project never puts into one."""


def write_archive(folder: Path, target: Path) -> None:
    """Write all regular files under ``folder`` as ``target``, a tar.gz, atomically.

    The same files give the same bytes: names sorted, no times, owners or modes but the
    executable bit. Symbolic links and special files are left out.
    """
    with (
        replacing(target) as fresh,
        fresh.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=raw, mtime=0) as z,
        tarfile.open(fileobj=z, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in regular_files(folder):
            _add(tar, path, path.relative_to(folder).as_posix())


def regular_files(folder: Path) -> list[Path]:
    """Return the regular files under a folder, sorted; links are not followed or returned."""
    paths = []
    for parent, _, names in os.walk(folder):
        paths += [Path(parent, name) for name in names]
    return sorted(path for path in paths if stat.S_ISREG(path.lstat().st_mode))


def extract_archive(archive: Path, folder: Path) -> None:
    """Extract a tar.gz into ``folder``, which must not exist; all of it or nothing.

    Raises:
        ArchiveError: it is damaged, or holds anything but regular files and folders with plain
            relative names, or too many, or too much. Names the member.
        FileExistsError: ``folder`` exists.
    """
    if folder.exists():
        raise FileExistsError(f"{folder} exists already")
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    new.mkdir()
    try:
        _extract_members(archive, new)
        reach(f"extract {label_of(folder)}")
        new.rename(folder)
        reach(f"extracted {label_of(folder)}")
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ArchiveError(f"{archive.name} is not a readable tar.gz: {error}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        member = tarfile.TarInfo(name)
        member.size = status.st_size
        member.mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
        tar.addfile(member, file)


class _Limited:
    """A reader that stops a decompression bomb where it starts to grow."""

    def __init__(self, source: gzip.GzipFile, limit: int, name: str) -> None:
        self._source = source
        self._left = limit
        self._name = name

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size if size >= 0 else _CHUNK)
        self._left -= len(data)
        if self._left < 0:
            raise ArchiveError(f"{self._name} unpacks to more than is allowed")
        return data


def _extract_members(archive: Path, folder: Path) -> None:
    limit = min(MAX_BYTES, max(archive.stat().st_size * MAX_RATIO, _RATIO_FROM_BYTES))
    with gzip.open(archive, "rb") as unpacked:
        source: Any = _Limited(unpacked, limit, archive.name)
        # A stream: nothing is read twice, and no member can point back at another.
        with tarfile.open(fileobj=source, mode="r|") as tar:
            for member in _checked(tar, archive.name):
                _extract(tar, member, folder)
        while source.read(_CHUNK):  # What follows the end is checked for its sum, too.
            continue


def _checked(tar: tarfile.TarFile, archive: str) -> Iterator[tarfile.TarInfo]:
    for count, member in enumerate(tar, 1):
        if count > MAX_MEMBERS:
            raise ArchiveError(f"{archive} has more than {MAX_MEMBERS} members")
        if not (member.isreg() or member.isdir()) or member.issparse():
            raise ArchiveError(f"{archive}: {member.name!r} is neither a file nor a folder")
        if member.isdir() and member.name in _ROOTS:
            continue
        _check_name(member.name, archive)
        yield member


def _check_name(name: str, archive: str) -> None:
    parts = PurePosixPath(name).parts
    bad = name.startswith("/") or ".." in parts or "\\" in name or "\0" in name
    if bad or name == "":
        raise ArchiveError(f"{archive}: {name!r} is not a plain relative name")


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    target = folder / member.name
    try:
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        # Exclusive: a name that comes twice cannot replace what was checked before.
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _mode(member))
    except (FileExistsError, NotADirectoryError) as error:
        raise ArchiveError(f"{member.name!r} comes twice in its archive") from error
    source = tar.extractfile(member)
    if source is None:
        os.close(descriptor)
        raise ArchiveError(f"{member.name!r} has no content")
    with os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(source, file, _CHUNK)


def _mode(member: tarfile.TarInfo) -> int:
    return 0o755 if member.mode & stat.S_IXUSR else 0o644
