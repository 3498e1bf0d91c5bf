"""Tar archives of jobs: reproducible to write, safe to read.

Equal input gives the same bytes. Python's own extraction filters were bypassed twice in 2025
(CVE-2025-4517, CVE-2025-4330), so they are not used for reading: only regular files and folders are
extracted, only under relative names without ``..``, only into a new folder, with limits on the
count, the size and the compression ratio (:mod:`sm_entrypoints.contract.strangers.archives`).
"""

from __future__ import annotations

import errno
import gzip
import os
import secrets
import shutil
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from platforms.errors import WhippetError
from platforms.files import replacing
from sm_entrypoints.contract.kill_points import label_of, reach
from sm_entrypoints.contract.strangers.archives import BoundedArchive, BrokenArchive, bounded

MAX_MEMBERS = 10_000
_MOST_PARTS = 64
# Of a name, in an error.
_SHOWN = 100
# Of the system's errors, those that are about a name.
_OF_NAMES = frozenset({errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ})
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
    """Return the regular files under a folder, sorted; links are not followed or returned.

    A file that disappears meanwhile is none: a job that works there replaces its files.
    """
    paths = []
    for parent, _, names in os.walk(folder):
        paths += [Path(parent, name) for name in names]
    return sorted(path for path in paths if _is_regular(path))


def _is_regular(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False


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
    except BrokenArchive as error:
        raise ArchiveError(f"{archive.name} cannot be unpacked: {error}") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        member = tarfile.TarInfo(name)
        member.size = status.st_size
        member.mode = 0o755 if status.st_mode & stat.S_IXUSR else 0o644
        tar.addfile(member, file)


def _extract_members(archive: Path, folder: Path) -> None:
    with bounded(archive) as members:
        for member in _checked(members, archive.name):
            _extract(members, member, folder)
        members.finish()


def _checked(members: BoundedArchive, archive: str) -> Iterator[tarfile.TarInfo]:
    for count, member in enumerate(members, 1):
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
    # Folders within folders are made, and removed, by calls within calls.
    if bad or name == "" or len(parts) > _MOST_PARTS:
        raise ArchiveError(f"{archive}: {name[:_SHOWN]!r} is not a plain relative name")


def _extract(members: BoundedArchive, member: tarfile.TarInfo, folder: Path) -> None:
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
    except OSError as error:
        if error.errno not in _OF_NAMES:
            raise
        name = f"{member.name[:_SHOWN]!r}"
        raise ArchiveError(f"{name} cannot be the name of a file: {error.strerror}") from error
    source = members.open(member)
    if source is None:
        os.close(descriptor)
        raise ArchiveError(f"{member.name!r} has no content")
    with os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(source, file, _CHUNK)


def _mode(member: tarfile.TarInfo) -> int:
    return 0o755 if member.mode & stat.S_IXUSR else 0o644
