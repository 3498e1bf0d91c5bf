"""How often the decoder of a JPEG goes over its pixels, and how much stands beside them.

A progressive JPEG holds its pixels in about ten scans; each of them costs the decoder a pass over
all of its pixels, even one of twelve bytes. The format: ITU-T T.81, annex B.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path

Buffer = bytes | bytearray | mmap
_SCAN = b"\xff\xda"
_END = 0xD9
# What follows 0xFF and begins a segment: not a stuffed zero, a filler or a restart. Fillers before
# it are no part of the pattern: to try a long row of them from each of its bytes takes hours.
_MARKER = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])")
_ALONE = (0x01, 0xD8)


@contextmanager
def bytes_of(source: bytes | bytearray | memoryview | Path) -> Iterator[Buffer]:
    """Give the bytes of a source to search in; those of a file are read as they are searched."""
    if not isinstance(source, Path):
        yield source if isinstance(source, bytes | bytearray) else bytes(source)
        return
    with source.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        yield data


@dataclass(frozen=True, slots=True, kw_only=True)
class Segments:
    """What a JPEG consists of.

    Attributes:
        scans: passes over pixels.
        others: segments of tables and metadata.
        junk: bytes before the first scan that belong to no segment.
    """

    scans: int
    others: int
    junk: int


def perhaps_scans(data: Buffer, most: int) -> int:
    """Return at least how many scans there are, in no time; counts no further than ``most`` + 1.

    Thumbnails count too: who wants to know exactly uses :func:`segments`.
    """
    found, at = 0, data.find(_SCAN)
    while at >= 0 and found <= most:
        found, at = found + 1, data.find(_SCAN, at + 2)
    return found


def segments(data: Buffer, *, most_scans: int, most_others: int) -> Segments:
    """Return what a JPEG consists of; ends as soon as one count is above its limit."""
    scans = others = junk = 0
    at = 2
    while scans <= most_scans and others <= most_others:
        marker = _MARKER.search(data, at)
        if not scans:
            junk += max(0, len(data) - at if marker is None else marker.end() - 2 - at)
        if marker is None or marker[1][0] == _END:
            break
        kind, at = marker[1][0], marker.end()
        scans, others = scans + (kind == _SCAN[1]), others + (kind != _SCAN[1])
        if kind not in _ALONE:
            at += int.from_bytes(data[at : at + 2], "big")
    return Segments(scans=scans, others=others, junk=junk)
