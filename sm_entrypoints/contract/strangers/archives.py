"""Read a tar.gz of strangers, on both sides: bounded in size and headers, one error for all faults.

Python's tarfile reads the headers in front of a member, long names and PAX records, whole into
memory and calls itself for each, and passes on whatever int() or a codec raises. So headers are
bounded before they are read, and members are forgotten once they were seen. Standard library only.
"""

from __future__ import annotations

import gzip
import struct
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Self

from sm_entrypoints.contract.sentences import clause

MAX_BYTES = 2 * 1024**3
MAX_RATIO = 100
# A tiny archive of text may well compress more: the ratio counts from here on.
_RATIO_FROM_BYTES = 10 * 1024**2
# Of one header in front of a member: a name has 4,096 bytes at most.
_HEADER_BYTES = 64 * 1024
# Of those that hold for all members after them: each member gets a copy.
_GLOBAL_BYTES = 16 * 1024
# In front of one member: a long name, a long link, PAX records.
_MOST_HEADERS = 8
_CHUNK = 1024 * 1024
_EXTENDED = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.XGLTYPE,
)
# Of tarfile's, those that are not the end of an archive; it tells of them by name alone.
_BROKEN_HEADERS = ("InvalidHeaderError", "TruncatedHeaderError")
# What tarfile, gzip and their codecs raise for bytes that are no archive.
_FAULTS = (
    tarfile.TarError,
    EOFError,
    gzip.BadGzipFile,
    zlib.error,
    ValueError,
    OverflowError,
    RecursionError,
    struct.error,
    LookupError,
)


class BrokenArchive(Exception):
    """Raised when a file is no tar.gz, or holds more than it may; says what, names no file."""


class BoundedArchive:
    """The members of an archive, one after the other; each can be read until the next is asked for.

    Get one from :func:`bounded`.
    """

    def __init__(self, tar: tarfile.TarFile, source: _Limited, most: int) -> None:
        self._tar, self._source, self._most = tar, source, most

    def __iter__(self) -> Iterator[tarfile.TarInfo]:
        while (member := self._tar.next()) is not None:
            # All of them would be kept, with all of their headers.
            self._tar.members = []  # type: ignore[attr-defined]
            # tarfile skips what nobody reads, and goes on skipping behind the end of the file.
            if not 0 <= member.size <= self._most:
                raise BrokenArchive(f"it unpacks to more than is allowed: {member.size:,} bytes")
            yield member

    def open(self, member: tarfile.TarInfo) -> IO[bytes] | None:
        """Return a regular file's content; None for what has none."""
        return self._tar.extractfile(member)

    def finish(self) -> None:
        """Read what follows the last member, so that the checksum is checked, too."""
        while self._source.read(_CHUNK):
            continue


@contextmanager
def bounded(archive: Path, most_bytes: int = MAX_BYTES) -> Iterator[BoundedArchive]:
    """Open a tar.gz as a stream: nothing is read twice, and no member can point back at another.

    Raises:
        BrokenArchive: it is damaged or no archive, unpacks to more than is allowed, or its headers
            are larger than those of any honest one; also for what is read inside of the block.
        OSError: it cannot be read.
    """
    limit = min(most_bytes, max(archive.stat().st_size * MAX_RATIO, _RATIO_FROM_BYTES))
    try:
        with gzip.open(archive, "rb") as unpacked:
            source: Any = _Limited(unpacked, limit)
            with tarfile.open(fileobj=source, mode="r|", tarinfo=_Member) as tar:
                yield BoundedArchive(tar, source, limit)
    except _FAULTS as error:
        raise BrokenArchive(f"it is not a readable tar.gz: {clause(error)}") from error


class _Limited:
    """A reader that stops a decompression bomb where it starts to grow."""

    def __init__(self, source: gzip.GzipFile, limit: int) -> None:
        self._source = source
        self._left = limit

    def read(self, size: int = -1) -> bytes:
        data = self._source.read(size if size >= 0 else _CHUNK)
        self._left -= len(data)
        if self._left < 0:
            raise BrokenArchive("it unpacks to more than is allowed")
        return data


class _Member(tarfile.TarInfo):
    """A member whose headers are looked at before tarfile reads them."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> Self:
        """Return the next member; a broken header is not the end, as tarfile takes it to be."""
        try:
            return super().fromtarfile(tar)
        except tarfile.HeaderError as error:
            if type(error).__name__ in _BROKEN_HEADERS:
                raise BrokenArchive(f"a header is broken: {clause(error)}") from error
            raise

    def _proc_member(self, tar: Any) -> Self:
        if self.size < 0:
            raise BrokenArchive("a member has a size below zero")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise BrokenArchive("a member is sparse, neither a file nor a folder")
        if self.type not in _EXTENDED:
            tar.headers_in_front = 0
            found: Self = super()._proc_member(tar)  # type: ignore[misc]
            return found
        tar.headers_in_front = getattr(tar, "headers_in_front", 0) + 1
        tar.global_bytes = getattr(tar, "global_bytes", 0)
        if self.type == tarfile.XGLTYPE:
            tar.global_bytes += self.size
        if (
            self.size > _HEADER_BYTES
            or tar.global_bytes > _GLOBAL_BYTES
            or tar.headers_in_front > _MOST_HEADERS
        ):
            raise BrokenArchive("its headers are larger than those of any honest archive")
        extended: Self = super()._proc_member(tar)  # type: ignore[misc]
        return extended
