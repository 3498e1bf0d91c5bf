"""Read one image file as a trainer would: is it complete, how large, what does it look like?

Nothing here knows of splits or classes. The look of an image is two small arrays (see
:class:`Look`) that :mod:`tasks.dataset.checking.duplicates` compares.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from sm_entrypoints.contract.sentences import clause
from sm_entrypoints.images.decoding import DECODE_ERRORS, TooManyPixels, load_picture
from sm_entrypoints.images.files import READ_KINDS, kind_of
from tasks.dataset.checking.conversion import ConversionError, Converter, advice, can_convert

HASH_SIDE = 16
COLOUR_SIDE = 8
# Neighbours closer than this many grey levels count as equal: JPEG noise on flat paper (a
# drawing's white) must not decide bits.
HASH_MARGIN = 3

_KNOWN_STARTS = (
    (b"RIFF", "a RIFF file"),
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"<", "HTML or XML text"),
    (b"version https://git-lfs", "a Git LFS pointer: run 'git lfs pull'"),
    (b"\x00\x00\x00", "a video or another file"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What an image looks like, small enough to keep for every file of a data set.

    Attributes:
        gradients: 64 bytes, a difference hash: over a 16 by 16 grid, first one bit a cell that
            says that the grey value rises to the right by at least ``HASH_MARGIN`` levels, then
            one that says that it falls by as much. A blank image has no bit set.
        colours: 192 bytes, the image shrunk to 8 by 8 RGB pixels.
    """

    gradients: bytes
    colours: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What was found in a file; ``problem`` is a sentence without the file's name, or None.

    ``size`` is in bytes, ``width`` and ``height`` in pixels as stored (before EXIF rotation);
    all are 0 and ``look`` is None where the problem kept them from being read. ``converted`` is the
    file that stands for it where it had to be converted; size, digest and look are that file's.
    """

    size: int = 0
    sha256: str = ""
    width: int = 0
    height: int = 0
    mode: str = ""
    look: Look | None = None
    problem: str | None = None
    converted: str | None = None


def inspect_image(path: Path, converter: Converter | None = None) -> ImageFacts:
    """Read, hash and fully decode a file. Never raises for what is in the file.

    With a ``converter``, pictures other than JPEG and PNG are examined after conversion. Pictures
    that are too large are recognised by their header, before anything is decoded. Safe to call from
    several threads: Pillow and hashlib release the interpreter lock.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        return ImageFacts(problem=f"cannot be read: {error.strerror or error}")
    size, sha256 = len(data), hashlib.sha256(data).hexdigest()
    if not data:
        return ImageFacts(sha256=sha256, problem="is empty (0 bytes)")
    kind = kind_of(data[:64])
    try:
        if kind is None or kind in READ_KINDS:
            return _decode(data, size, sha256)
        return _converted(data, kind, sha256, converter)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        problem = "has more pixels than can be decoded: shrink it"
    except UnidentifiedImageError:
        problem = f"is not a JPEG or PNG image{_guess(data)}"
    except ConversionError as error:
        problem = str(error)
    except DECODE_ERRORS as error:
        problem = f"cannot be decoded: {clause(error)}"
    return ImageFacts(size=size, sha256=sha256, problem=problem)


def _converted(data: bytes, kind: str, sha256: str, converter: Converter | None) -> ImageFacts:
    if converter is None or not can_convert(kind):
        hint = advice(kind).replace("reads them", "reads it").replace("convert them", "convert it")
        raise ConversionError(f"is not a JPEG or PNG image but {kind}: {hint}")
    made = converter.convert(data, kind, sha256)
    content = made.read_bytes()
    facts = _decode(content, len(content), hashlib.sha256(content).hexdigest())
    return replace(facts, converted=str(made))


def _decode(data: bytes, size: int, sha256: str) -> ImageFacts:
    try:
        picture = load_picture(data, formats=READ_KINDS)
    except TooManyPixels as error:
        return ImageFacts(size=size, sha256=sha256, problem=str(error))
    return ImageFacts(
        size=size,
        sha256=sha256,
        width=picture.width,
        height=picture.height,
        mode=picture.mode,
        look=look_of(picture.image),
    )


def look_of(image: Image.Image) -> Look:
    """Return the look of a decoded image of any mode, transparency over white."""
    small = _small_rgb(image)
    grey = small.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX)
    levels = np.asarray(grey, dtype=np.int16)
    steps = levels[:, 1:] - levels[:, :-1]
    bits = np.stack([steps >= HASH_MARGIN, steps <= -HASH_MARGIN])
    colours = small.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BOX)
    return Look(gradients=np.packbits(bits).tobytes(), colours=colours.tobytes())


def _small_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        # 16-bit PNG: "convert" would clip at 255 rather than scale.
        image = Image.fromarray((np.asarray(image, dtype=np.float64) / 257).astype(np.uint8))
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA"):
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    factor = max(1, min(image.size) // (4 * HASH_SIDE))
    if factor > 1 and image.mode in ("RGB", "RGBA", "L", "CMYK"):
        image = image.reduce(factor)
    return image.convert("RGB")


def _guess(data: bytes) -> str:
    start = data[:32].lstrip() if data[:1].isspace() else data[:32]
    for magic, kind in _KNOWN_STARTS:
        if start.startswith(magic):
            return f" but {kind}"
    return f" (it starts with {data[:8]!r})"
