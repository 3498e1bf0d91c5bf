"""From image bytes to a model's tensors: one preparation for training and serving.

Anything decoded here may come from a stranger: pixels are counted before they are decoded, and
whatever a decoder raises becomes an :class:`ImageError`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from sm_entrypoints.contract.sentences import clause
from sm_entrypoints.images.decoding import (
    DECODE_ERRORS,
    ImageError,
    Source,
    TooManyPixels,
    load_picture,
)
from sm_entrypoints.images.files import CHANNEL_KINDS, READ_KINDS, pillow_formats
from sm_entrypoints.models.model import ModelCard

SERVING_FORMATS = pillow_formats(READ_KINDS)
TRAINING_FORMATS = pillow_formats(CHANNEL_KINDS)


def open_image(
    source: Source,
    *,
    formats: Sequence[str] = SERVING_FORMATS,
    least_side: int | None = None,
    name: str | None = None,
) -> Image.Image:
    """Return the whole image, decoded, upright (EXIF orientation applied), in mode RGB.

    Grey, palette, CMYK and 16-bit images are converted; transparency is laid over white. One of
    more than 25 megapixels comes at reduced size: see :mod:`sm_entrypoints.images.decoding`. So
    does a JPEG picture whose shorter side has twice ``least_side`` pixels or more: what a model
    needs is its card's. ``name`` is what errors call it.

    Raises:
        TooManyPixels: decoding it would take too much memory or time; nothing was decoded.
        ImageError: empty, not one of ``formats``, truncated or otherwise broken.
    """
    name = name or (source.name if isinstance(source, Path) else "the image")
    if not isinstance(source, Path) and not source:
        raise ImageError(f"{name} is empty (0 bytes)")
    try:
        return load_picture(source, formats=formats, least_side=least_side).upright()
    except TooManyPixels as error:
        raise TooManyPixels(f"{name} {error}") from None
    except UnidentifiedImageError:
        raise ImageError(f"{name} is not a {' or '.join(formats)} image") from None
    except DECODE_ERRORS as error:
        raise ImageError(f"{name} cannot be decoded: {clause(error)}") from None


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
    # Band by band: torch would reorder them with all of its threads, in each thread that decodes.
    return torch.from_numpy(np.stack([np.asarray(band) for band in image.split()]))


def normalise(pixels: Tensor, card: ModelCard) -> Tensor:
    """Return uint8 pixels, shape (…, 3, height, width), as the float32 input of the model."""
    mean = torch.tensor(card.mean, device=pixels.device).view(3, 1, 1)
    std = torch.tensor(card.std, device=pixels.device).view(3, 1, 1)
    return (pixels.to(torch.float32) / 255.0 - mean) / std


def evaluation_transform(card: ModelCard) -> Callable[[Image.Image], Tensor]:
    """Return the preparation of one RGB image: float32, shape (3, image_size, image_size)."""
    return lambda image: normalise(evaluation_pixels(image, card), card)
