"""Decode a picture within a memory limit: one way for check, training and endpoint.

A picture of up to 25 megapixels is decoded at full size. A larger one, as phones of 48 to 200
megapixels make them, is decoded to at most 25 megapixels: the JPEG decoder scales to a half, a
quarter or an eighth, which needs no more memory than a small picture; other formats are averaged in
blocks of pixels after decoding. A picture that would take too much memory even so is refused from
its header. Large pictures are decoded one at a time per process.

So is one that would take too much time: a progressive JPEG of thousands of scans, each of which
costs a pass over all pixels, or a header of thousands of segments.

Who needs no more than so many pixels says so: then the JPEG decoder scales smaller pictures, too.

Metadata never matters: a PNG with text that is too long or damaged is decoded without it, and
damaged EXIF data are ignored. Pillow and the standard library only, because the orchestrator has no
torch.
"""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from struct import error as StructError
from zlib import error as ZlibError

from PIL import ExifTags, Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.images.colours import reduced, to_rgb
from sm_entrypoints.images.jpeg_scans import bytes_of, perhaps_scans, segments
from sm_entrypoints.images.png_chunks import has_many_chunks, pixels_only

Source = bytes | bytearray | memoryview | Path

# What is decoded as it is.
FULL_PIXELS = 25_000_000
# Above it, decoding takes too long even at reduced size.
MOST_PIXELS = 400_000_000
# What the decoded pixels of one picture may take: 112 megapixels of RGB.
DECODED_BYTES = 450_000_000
# Encoders write about ten scans, and cjpeg takes scripts of at most 100.
MOST_SCANS = 100
# Passes over pixels: 150 megapixels in ten scans. A pass takes 1 ms a megapixel.
MOST_PIXEL_SCANS = 1_500_000_000
# Cameras write some dozens. Pillow takes 2 to 4 microseconds for each.
MOST_SEGMENTS = 5_000
# Bytes between a JPEG's segments, which Pillow reads one by one. Encoders write none.
MOST_JUNK = 65_536
# What Pillow's decoders raise on broken bytes: OSError for most, the others from damaged chunk
# headers and zlib streams.
DECODE_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    OverflowError,
    StructError,
    ZlibError,
)
# Pillow keeps a pixel in four bytes, except for these.
_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
# libwebp keeps two canvases beside the picture that Pillow copies twice.
_WEBP_BYTES = 16
_JPEG_SCALES = (1, 2, 4, 8)
_START = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG"}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_one_large_at_a_time = threading.Lock()


class ImageError(JobError):
    """Raised when bytes are not an image that we take; a sentence that names the file if any."""


class TooManyPixels(ImageError):
    """Raised before decoding, when the header tells of more than we are willing to decode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A decoded picture.

    Attributes:
        image: its pixels, as stored or reduced; not yet upright.
        width: pixels as stored, whatever was decoded of them.
        height: the same.
        mode: Pillow's mode as stored.
        orientation: EXIF's, from 1 to 8.
    """

    image: Image.Image
    width: int
    height: int
    mode: str
    orientation: int

    def upright(self) -> Image.Image:
        """Return the picture in mode RGB as its camera saw it."""
        image = to_rgb(self.image)
        turn = _TURNS.get(self.orientation)
        return image if turn is None else image.transpose(turn)


def load_picture(
    source: Source, *, formats: Sequence[str], least_side: int | None = None
) -> Picture:
    """Return the decoded picture of a file, or of bytes.

    Args:
        formats: Pillow's names of those that are taken.
        least_side: pixels of the shorter side that are enough: a JPEG picture that has twice as
            many or more is scaled by its decoder, not below this.

    Raises:
        TooManyPixels: it would take too much memory or time; nothing was decoded. The message says
            so without a name: "has 30000 x 30000 pixels, …".
        UnidentifiedImageError: it is none of ``formats``.
        DECODE_ERRORS: it is broken.
    """
    kind = _kind(source, formats)
    try:
        return _load(source, kind, formats, least_side)
    except DECODE_ERRORS:
        if kind != "PNG":
            raise
    data = source.read_bytes() if isinstance(source, Path) else bytes(source)
    return _load(pixels_only(data), kind, formats, least_side)


def _kind(source: Source, formats: Sequence[str]) -> str | None:
    if isinstance(source, Path):
        with source.open("rb") as file:
            start = file.read(8)
    else:
        start = bytes(source[:8])
    kind_of_start = next((kind for magic, kind in _START.items() if start.startswith(magic)), None)
    return kind_of_start if kind_of_start in formats else None


def _load(
    source: Source, kind: str | None, formats: Sequence[str], least_side: int | None
) -> Picture:
    with _opened(source, kind, formats) as image:
        width, height, mode = image.width, image.height, image.mode
        by_decoder = isinstance(image, JpegImageFile)
        scans = _scans(source, image) if isinstance(image, JpegImageFile) else 1
        scale = _scale(image, scans)
        _require_few_scans(image, scans)
        if isinstance(image, JpegImageFile):
            scale = max(scale, _enough(image, least_side))
        needed = _decoded_bytes(image, scale, scans)
        large = width * height > FULL_PIXELS and needed > 4 * FULL_PIXELS
        with _one_large_at_a_time if large else nullcontext():
            if by_decoder and scale > 1:
                image.draft(None, (max(1, width // scale), max(1, height // scale)))
                scale = 1
            image.load()
            return Picture(
                # The pixels outlive the closed file: a copy would take as much again.
                image=image if scale == 1 else reduced(image, scale),
                width=width,
                height=height,
                mode=mode,
                orientation=_orientation(image),
            )


def _opened(source: Source, kind: str | None, formats: Sequence[str]) -> Image.Image:
    file = source if isinstance(source, Path) else io.BytesIO(source)
    _require_few_segments(source, kind)
    # Image.open() refuses what has 179 megapixels or more, for all of the process or not at all.
    if kind == "JPEG":
        return JpegImageFile(file)
    if kind == "PNG":
        return PngImageFile(file)
    try:
        return Image.open(file, formats=tuple(formats))
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooManyPixels("has more pixels than Pillow can decode: shrink it") from None


def _require_few_segments(source: Source, kind: str | None) -> None:
    if kind is None:
        return
    with bytes_of(source) as data:
        found = segments(data, most_scans=0, most_others=MOST_SEGMENTS) if kind == "JPEG" else None
        many = found.others > MOST_SEGMENTS if found else has_many_chunks(data, MOST_SEGMENTS)
    junk = found.junk if found else 0
    if many:
        noun = "chunks" if kind == "PNG" else "segments before its pixels"
        raise TooManyPixels(f"has more than {MOST_SEGMENTS:,} {noun}: save it without its metadata")
    if junk > MOST_JUNK:
        raise TooManyPixels(f"has {junk:,} bytes that mean nothing before its pixels: save it anew")


def _most_scans(image: Image.Image) -> int:
    return min(MOST_SCANS, max(1, MOST_PIXEL_SCANS // max(1, image.width * image.height)))


def _scans(source: Source, image: JpegImageFile) -> int:
    """Return how many scans a JPEG has, or slightly more; counts no further than is of interest."""
    most = _most_scans(image)
    with bytes_of(source) as data:
        scans = perhaps_scans(data, most)
        if scans > (most if image.info.get("progressive") else 1):
            scans = segments(data, most_scans=most, most_others=MOST_PIXEL_SCANS).scans
    return scans


def _require_few_scans(image: Image.Image, scans: int) -> None:
    most = _most_scans(image)
    if scans > most:
        raise TooManyPixels(
            f"has {image.width} x {image.height} pixels in more than {most} "
            f"{'scan' if most == 1 else 'scans'}, which takes too long to decode: save it as a "
            "baseline JPEG"
        )


def _scale(image: Image.Image, scans: int) -> int:
    """Return the factor by which to reduce a picture in each direction.

    Raises:
        TooManyPixels: nothing helps.
    """
    pixels = image.width * image.height
    scale = max(1, math.ceil(math.sqrt(pixels / FULL_PIXELS)))
    if isinstance(image, JpegImageFile):
        scale = next((each for each in _JPEG_SCALES if each >= scale), _JPEG_SCALES[-1])
    if pixels > MOST_PIXELS:
        raise TooManyPixels(
            f"has {image.width} x {image.height} pixels, more than {MOST_PIXELS / 1e6:.0f} "
            "megapixels: shrink it"
        )
    needed = _decoded_bytes(image, scale, scans)
    if pixels > FULL_PIXELS and needed > DECODED_BYTES:
        raise TooManyPixels(
            f"has {image.width} x {image.height} pixels, and decoding them as "
            f"{_format(image, scans)} takes {needed / 1e6:.0f} MB, more than the "
            f"{DECODED_BYTES / 1e6:.0f} MB allowed: "
            "save it as a baseline JPEG, which can be decoded at reduced size, or shrink it"
        )
    return scale


def _enough(image: JpegImageFile, least_side: int | None) -> int:
    """Return the most by which the decoder may scale a picture, so that enough is left of it."""
    if not least_side:
        return 1
    side = min(image.width, image.height)
    return max(scale for scale in _JPEG_SCALES if scale == 1 or side // scale >= least_side)


def _decoded_bytes(image: Image.Image, scale: int, scans: int) -> float:
    pixels = image.width * image.height
    if isinstance(image, JpegImageFile):
        # With several scans, the decoder keeps every coefficient, in two bytes each.
        kept = scans > 1 or image.info.get("progressive")
        coefficients = 2 * _samples(image) if kept else 0.0
        return pixels * (coefficients + _BYTES.get(image.mode, 4) / scale**2)
    if image.format == "WEBP":
        return pixels * _WEBP_BYTES
    return float(pixels * _BYTES.get(image.mode, 4))


def _samples(image: JpegImageFile) -> float:
    """Return how many values a pixel has on average: 1.5 with the usual colours at half size."""
    layers = [(across, down) for _, across, down, _ in image.layer]
    most = max(across for across, _ in layers) * max(down for _, down in layers)
    return sum(across * down for across, down in layers) / most


def _format(image: Image.Image, scans: int) -> str:
    if isinstance(image, JpegImageFile) and image.info.get("progressive"):
        return "a progressive JPEG"
    return "a JPEG of several scans" if scans > 1 else str(image.format)


def _orientation(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except DECODE_ERRORS:
        return 1
    return orientation if isinstance(orientation, int) else 1
