"""Views of a picture: random versions of it, the same ones in every epoch, job and search.

What a view looks like follows from the picture's bytes and the view's number alone, never from a
job's seed, so all trials of a search share the features of views. Which version of a picture an
epoch shows follows from the job's seed, the epoch and the picture's place.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.contract.hyperparameters import Augmentation
from sm_entrypoints.images.preparation import evaluation_pixels, to_pixels
from sm_entrypoints.models.model import ModelCard

# Crops of torchvision's reference training: a share of the area, and width by height.
_CROP_AREA = (0.08, 1.0)
_CROP_RATIO = (3 / 4, 4 / 3)
# Another way to make views is another version: features of theirs are other ones.
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """How many random versions each training picture has, and of which kind.

    Version 0 is the picture itself; its views are the versions 1 to ``count``.
    """

    augmentation: Augmentation = "none"
    count: int = 0

    @classmethod
    def of(cls, arguments: TrainingArguments) -> Views:
        """Return the views of a training: flipping makes one other picture, and no more."""
        count = min(arguments.views, 1) if arguments.augmentation == "flip" else arguments.views
        return cls(augmentation=arguments.augmentation, count=count)

    @property
    def need_whole_pictures(self) -> bool:
        """Whether a picture has to be decoded at full size: a crop may be a small part of it."""
        return self.augmentation == "standard"

    def name(self, picture: bytes, version: int) -> bytes:
        """Return the SHA-256 that stands for a version of a picture, given the picture's own."""
        if not version:
            return picture
        kind = f"view {_VERSION} {self.augmentation} {version} of ".encode()
        return hashlib.sha256(kind + picture).digest()

    def pixels(self, image: Image.Image, card: ModelCard, picture: bytes, version: int) -> Tensor:
        """Return a version of an RGB image as uint8, shape (3, image_size, image_size).

        ``picture`` is the SHA-256 of the file's bytes.
        """
        if not version:
            return evaluation_pixels(image, card)
        if self.augmentation != "standard":
            return evaluation_pixels(image, card).flip(-1)
        words = np.frombuffer(self.name(picture, version), dtype=np.uint32)
        random = np.random.default_rng(words)
        pixels = cropped(image, card, random)
        return pixels.flip(-1) if random.random() < 0.5 else pixels


def drawn(seed: int, epoch: int, index: int, views: int) -> int:
    """Return which version of a picture an epoch shows, of so many views; each is as likely.

    A flipped picture is shown when a training with ``augmentation=flip`` would flip it.
    """
    if not views:
        return 0
    share = np.random.default_rng((seed, epoch, index)).random()
    return views - int(share * (views + 1))


@lru_cache(maxsize=16)
def drawn_in_epoch(seed: int, epoch: int, count: int, views: int) -> Tensor:
    """Return :func:`drawn` of the first ``count`` pictures, as uint8: read, never written."""
    return torch.tensor(
        [drawn(seed, epoch, index, views) for index in range(count)], dtype=torch.uint8
    )


def cropped(image: Image.Image, card: ModelCard, random: np.random.Generator) -> Tensor:
    """Return a random crop of an RGB image as uint8, shape (3, image_size, image_size)."""
    size, box = (card.image_size, card.image_size), random_box(image.size, random)
    return to_pixels(image.resize(size, Image.Resampling.BILINEAR, box=box))


def random_box(
    size: tuple[int, int], random: np.random.Generator
) -> tuple[float, float, float, float]:
    """Return a random crop (left, top, right, bottom) in pixels, as RandomResizedCrop draws it."""
    width, height = size
    for _ in range(10):
        area = width * height * random.uniform(*_CROP_AREA)
        ratio = float(np.exp(random.uniform(*np.log(_CROP_RATIO))))
        wide, high = (area * ratio) ** 0.5, (area / ratio) ** 0.5
        if wide <= width and high <= height:
            left, top = random.uniform(0, width - wide), random.uniform(0, height - high)
            return left, top, min(left + wide, width), min(top + high, height)
    side = min(width, height)
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side
