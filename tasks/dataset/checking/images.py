"""Read one image file as a trainer would: is it complete, how large, what does it look like?

Nothing here knows of splits or classes. The look of an image is two small arrays (see
:class:`~sm_entrypoints.images.look.Look`) that :mod:`tasks.dataset.checking.duplicates` compares.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from sm_entrypoints.contract.sentences import clause
from sm_entrypoints.images.decoding import DECODE_ERRORS, TooManyPixels, load_picture
from sm_entrypoints.images.files import READ_KINDS, kind_of
from sm_entrypoints.images.look import Look, look_of
from tasks.dataset.checking.conversion import ConversionError, Converter, advice, can_convert

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


def _guess(data: bytes) -> str:
    start = data[:32].lstrip() if data[:1].isspace() else data[:32]
    for magic, kind in _KNOWN_STARTS:
        if start.startswith(magic):
            return f" but {kind}"
    return f" (it starts with {data[:8]!r})"
