"""What a picture will cost its decoder, from its header: pixels times the passes over them.

An estimate to put pictures in order by: nothing is decoded, and broken ones cost nothing, because a
decoder refuses them at once. Standard library only.
"""

from __future__ import annotations

import re

from sm_entrypoints.images.jpeg_scans import perhaps_scans

_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
# What begins a segment with the size of the picture in it, or the pixels. As in `jpeg_scans`, a
# long row of 0xFF is read once.
_FRAME = re.compile(rb"\xff([\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf\xda])")
_ANY = re.compile(rb"\xff([^\x00\xff\xd0-\xd9])")
_MOST_SEGMENTS = 200
# More than a decoder takes on: whoever asks knows enough by then.
_MOST_SCANS = 100
# Filters and inflate take about twice as long as JPEG's colours.
_PNG_PASSES = 2
# An interlaced PNG comes in seven passes.
_INTERLACED_PASSES = 4


def decoding_cost(data: bytes) -> int:
    """Return pixels times passes, in the pixels of a plain JPEG; 0 for what is no JPEG or PNG.

    A JPEG with so many segments in front of its pixels that looking further costs time itself
    counts as one of all the pixels that may be.
    """
    if data.startswith(_PNG):
        width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
        interlaced = data[28:29] == b"\x01"
        return width * height * (_INTERLACED_PASSES if interlaced else _PNG_PASSES)
    if not data.startswith(_JPEG):
        return 0
    return _pixels(data) * max(1, perhaps_scans(data, _MOST_SCANS))


def _pixels(data: bytes) -> int:
    at = 2
    for _ in range(_MOST_SEGMENTS):
        marker = _ANY.search(data, at)
        if marker is None:
            return 0
        at = marker.end()
        if _FRAME.fullmatch(marker[0]):
            height, width = data[at + 3 : at + 5], data[at + 5 : at + 7]
            return int.from_bytes(height, "big") * int.from_bytes(width, "big")
        at += int.from_bytes(data[at : at + 2], "big")
    return 65_535 * 65_535
