"""From image bytes to the tensors of a model: one preparation for training and for serving.

Everything that is decoded here may come from a stranger: pixels are counted before they are
decoded, and whatever a decoder raises becomes an :class:`ImageError`.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from sm_entrypoints.errors import JobError
from sm_entrypoints.model import ModelCard

SERVING_FORMATS = ("JPEG", "PNG")
TRAINING_FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP")
MAX_PIXELS = 25_000_000
_SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")


class ImageError(JobError):
    """Raised when bytes are not an image that we take; a sentence that names the file if any."""


class TooManyPixels(ImageError):
    """Raised before decoding, when the header tells more pixels than we are willing to decode."""


def open_image(
    source: bytes | bytearray | memoryview | Path,
    *,
    formats: Sequence[str] = SERVING_FORMATS,
    max_pixels: int = MAX_PIXELS,
) -> Image.Image:
    """Return the whole image, decoded, upright (EXIF orientation applied), in mode RGB.

    Grey, palette, CMYK and 16-bit images are converted; transparency is laid over white.

    Raises:
        TooManyPixels: width times height is above ``max_pixels``; nothing was decoded.
        ImageError: empty, not one of ``formats``, truncated or otherwise broken.
    """
    name = source.name if isinstance(source, Path) else "the image"
    data = source if isinstance(source, Path) else io.BytesIO(source)
    if isinstance(data, io.BytesIO) and not data.getbuffer().nbytes:
        raise ImageError(f"{name} is empty (0 bytes)")
    try:
        with Image.open(data, formats=tuple(formats)) as image:
            if image.width * image.height > max_pixels:
                raise TooManyPixels(_too_many(name, image.width, image.height, max_pixels))
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    # Pillow raises or warns by itself far above our limit, while it reads the header.
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise TooManyPixels(f"{name} has more than {max_pixels:,} pixels") from None
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not a {' or '.join(formats)} image") from None
    except (
        OSError,
        SyntaxError,
        ValueError,
        TypeError,
        LookupError,
        EOFError,
        OverflowError,
        struct.error,
        zlib.error,
    ) as error:
        raise ImageError(f"{name} cannot be decoded: {error}") from None


def _too_many(name: str, width: int, height: int, limit: int) -> str:
    return f"{name} has {width} x {height} pixels, more than the {limit:,} that are allowed"


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in _SIXTEEN_BIT:
        # convert() would clip 16-bit greys to white: scale them to eight bits first.
        top = 65_535.0 if image.mode != "F" else 255.0
        grey = image.convert("F").point(lambda value: value * (255.0 / top))
        return grey.convert("L").convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def evaluation_pixels(image: Image.Image, card: ModelCard) -> Tensor:
    """Return the centre of an RGB image as uint8, shape (3, image_size, image_size)."""
    # Resize and centre crop in one step: resizing first would turn an image of one pixel by
    # millions into gigabytes.
    side = min(image.size) * min(1.0, card.image_size / card.resize_size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    size = (card.image_size, card.image_size)
    box = (left, top, left + side, top + side)
    return to_pixels(image.resize(size, Image.Resampling.BILINEAR, box=box))


def to_pixels(image: Image.Image) -> Tensor:
    """Return an RGB image as uint8, shape (3, height, width)."""
    return torch.from_numpy(np.array(image, dtype=np.uint8)).permute(2, 0, 1).contiguous()


def normalise(pixels: Tensor, card: ModelCard) -> Tensor:
    """Return uint8 pixels, shape (…, 3, height, width), as the float32 input of the model."""
    mean = torch.tensor(card.mean, device=pixels.device).view(3, 1, 1)
    std = torch.tensor(card.std, device=pixels.device).view(3, 1, 1)
    return (pixels.to(torch.float32) / 255.0 - mean) / std


def evaluation_transform(card: ModelCard) -> Callable[[Image.Image], Tensor]:
    """Return the preparation of one RGB image: float32, shape (3, image_size, image_size)."""

    def transform(image: Image.Image) -> Tensor:
        return normalise(evaluation_pixels(image, card), card)

    return transform
