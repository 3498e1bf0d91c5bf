"""The pixels of a PNG without its metadata: text, times, profiles, and anything damaged.

The format: W3C, "Portable Network Graphics (PNG) Specification", chunks of length, type, data, CRC.
"""

from __future__ import annotations

import zlib

from sm_entrypoints.images.jpeg_scans import Buffer

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
# Size, palette, pixels, end.
_PIXELS = (b"IHDR", b"PLTE", b"IDAT", b"IEND")
# What changes how a picture looks, as long as it is whole.
_LOOKS = (b"tRNS", b"eXIf")
_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"


def has_many_chunks(data: Buffer, most: int) -> bool:
    """Tell whether a PNG has more than ``most`` chunks of less than 256 bytes on average."""
    at, found = len(_SIGNATURE), 0
    allowance = most + len(data) // 256
    while at + 12 <= len(data) and found <= allowance:
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        found += 1
    return found > allowance


def pixels_only(data: bytes) -> bytes:
    """Return a PNG of the same pixels, transparency and orientation, and nothing else.

    Chunks of pixels stay unchanged, damaged or not: the decoder reports what is wrong with them.
    The file ends where its last whole chunk ends.
    """
    kept, at, ended = [data[: len(_SIGNATURE)]], len(_SIGNATURE), False
    while not ended and at + 12 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        name = data[at + 4 : at + 8]
        if end > len(data):
            # Pixels that are cut off are damage; what else is cut off does not matter.
            if name in _PIXELS:
                return b"".join([*kept, data[at:]])
            break
        chunk = data[at:end]
        if name in _PIXELS or (name in _LOOKS and _whole(chunk)):
            kept.append(chunk)
        at, ended = end, name == b"IEND"
    return b"".join(kept if ended else [*kept, _END])


def _whole(chunk: bytes) -> bool:
    return zlib.crc32(chunk[4:-4]).to_bytes(4, "big") == chunk[-4:]
