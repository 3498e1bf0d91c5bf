"""Convert pictures of other kinds to PNG or JPEG on request, outside the user's folder.

The same bytes give the same file, kept under their digest: a second run converts and uploads
nothing. Pixels stay as a viewer shows them: upright, with 16 bits and transparency kept. Lossy
pictures (WebP of a camera, AVIF) become JPEG of quality 95, all others PNG.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, features

from platforms.errors import DataError
from platforms.files import write_atomically
from sm_entrypoints.contract.sentences import ended
from sm_entrypoints.images.files import pillow_formats

# Change it when other bytes come out; files of earlier versions stay, unused.
_VERSION = 1
_KINDS = ("WebP", "BMP", "GIF", "TIFF", "AVIF", "JPEG 2000")
_NEEDS = {"AVIF": "avif", "WebP": "webp", "JPEG 2000": "jpg_2000"}
_QUALITY = 95
_SIXTEEN_BITS = 65_535
# How to do it by hand, where we cannot.
BY_HAND = {
    "HEIC": "on a Mac `sips -s format jpeg *.heic --out DIR`, elsewhere `heif-convert` or "
    "`magick mogrify -format jpg *.heic`",
    "AVIF": "`avifdec A.avif A.png`, or `magick mogrify -format png *.avif`",
    "JPEG XL": "`djxl A.jxl A.png`",
    "Photoshop": "export them as PNG",
    "camera raw": "`darktable-cli A.nef A.jpg`, or export them as JPEG",
    ".svg file": "`rsvg-convert -o A.png A.svg`",
}


class ConversionError(DataError):
    """Raised when a picture cannot become a JPEG or PNG; a clause without the file's name."""


@dataclass(frozen=True, slots=True)
class Converter:
    """Converts pictures into its own folder."""

    folder: Path

    def convert(self, data: bytes, kind: str, sha256: str) -> Path:
        """Return the converted picture, made now or before.

        Args:
            data: the file's bytes.
            kind: as :func:`sm_entrypoints.images.files.kind_of` names it.
            sha256: of ``data``.

        Raises:
            ConversionError: it cannot be converted without guessing.
            OSError: it is broken (so do the decoder's other errors), or the folder is full.
        """
        for suffix in (".png", ".jpg"):
            made = self.folder / sha256[:2] / f"{sha256}-{_VERSION}{suffix}"
            if made.exists():
                return made
        content, suffix = converted(data, kind)
        made = self.folder / sha256[:2] / f"{sha256}-{_VERSION}{suffix}"
        write_atomically(made, content)
        return made


def can_convert(kind: str) -> bool:
    """Tell whether pictures of a kind can be converted here."""
    return kind in _KINDS and (kind not in _NEEDS or bool(features.check(_NEEDS[kind])))


def readable(kinds: Mapping[str, Sequence[str]]) -> str:
    """Return how many pictures there are of each kind: ``28 WebP, 2 HEIC``."""
    return ", ".join(f"{len(paths)} {kind}" for kind, paths in sorted(kinds.items()))


def advice_on(kinds: Iterable[str]) -> str:
    """Return what to do with pictures of several kinds, as sentences."""
    ours = [kind for kind in sorted(kinds) if can_convert(kind)]
    others = [kind for kind in sorted(kinds) if not can_convert(kind)]
    sentences = [f"For {', '.join(ours)}: {ended(advice(ours[0]))}"] if ours else []
    return " ".join([*sentences, *(f"For {kind}: {ended(advice(kind))}" for kind in others)])


def advice(kind: str) -> str:
    """Return what to do with pictures of a kind that is not read, as the end of a sentence."""
    if can_convert(kind):
        return "run again with --convert (data.convert), which can read them"
    by_hand = BY_HAND.get(kind, "`magick mogrify -format png FILE`")
    return f"convert them to JPEG or PNG first, for example: {by_hand}"


def converted(data: bytes, kind: str) -> tuple[bytes, str]:
    """Return a picture as JPEG or PNG, and the suffix that says which; of several, the first.

    Raises:
        ConversionError: the meaning of its values is unknown. OSError: it is broken; so do the
        decoder's other errors.
    """
    with Image.open(io.BytesIO(data), formats=pillow_formats([kind])) as image:
        image.seek(0)
        image.load()
        plain = _plain(ImageOps.exif_transpose(image))
    plain.info = {}  # neither colour profiles, which no training reads, nor texts
    made = io.BytesIO()
    if _was_lossy(data, kind) and plain.mode in ("RGB", "L"):
        plain.save(made, "JPEG", quality=_QUALITY, subsampling=0)
        return made.getvalue(), ".jpg"
    plain.save(made, "PNG", compress_level=6)
    return made.getvalue(), ".png"


def _was_lossy(data: bytes, kind: str) -> bool:
    if kind == "WebP":
        return b"VP8 " in data[:1024] or b"VP8L" not in data[:1024]
    return kind in ("AVIF", "JPEG 2000")


def _plain(image: Image.Image) -> Image.Image:
    """Return an image in a mode that PNG has, without a change of what it looks like."""
    mode = image.mode
    if mode.startswith("I") or mode == "F":
        return _grey(image)
    if mode in ("RGBa", "La"):
        return image.convert("RGBA" if mode == "RGBa" else "LA")
    if mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        return image.convert("RGBA")
    if mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        turn = ImageCms.buildTransform(lab, srgb, "LAB", "RGB")
        in_srgb = ImageCms.applyTransform(image, turn)
        return in_srgb if in_srgb is not None else image
    return image.convert("L") if mode in ("1", "L") else image.convert("RGB")


def _grey(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    if values.dtype.kind == "f":
        raise ConversionError(
            "has floating-point values without a defined white: save it with 8 or 16 bits"
        )
    if values.size and not 0 <= int(values.min()) <= int(values.max()) <= _SIXTEEN_BITS:
        raise ConversionError("has values of more than 16 bits: save it with 8 or 16 bits")
    return Image.fromarray(values.astype(np.uint16))
