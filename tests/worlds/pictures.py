"""Small pictures for tests: every seed gives one that looks like no other."""

from __future__ import annotations

import io
import struct
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image


def picture(seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Return an RGB image of soft random blots."""
    blots = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(blots).resize(size, Image.Resampling.BICUBIC)


def write_picture(path: Path, seed: int, size: tuple[int, int] = (64, 48)) -> Path:
    """Write a picture in the format of the path's name, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_encoded(seed, size, Image.registered_extensions()[path.suffix.lower()]))
    return path


@lru_cache(maxsize=1024)  # every data set begins with the same
def _encoded(seed: int, size: tuple[int, int], kind: str) -> bytes:
    made = io.BytesIO()
    picture(seed, size).save(made, kind)
    return made.getvalue()


def write_data(root: Path, counts: dict[str, dict[str, int]], *, first_seed: int = 0) -> Path:
    """Write ``<root>/<split>/<class>/*.jpg``; the split "" stands for the flat layout."""
    seed = first_seed
    for split, per_class in counts.items():
        for label, count in per_class.items():
            for number in range(count):
                write_picture(root / split / label / f"{number:03d}.jpg", seed)
                seed += 1
    return root


# The bytes of some picture, where it does not matter of what.
JPEG = _encoded(0, (8, 6), "JPEG")


def png_header(width: int, height: int) -> bytes:
    """Return a PNG that says how large it is, and has no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    end = b"IDAT"
    chunks = [
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
        for part in (header, end)
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
