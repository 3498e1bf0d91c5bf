"""The pass over pictures: read and decoded by threads while the backbone computes.

Each picture's bytes are read once. Bounded memory: a few batches of decoded pictures wait.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from sm_entrypoints.contract.sentences import clause
from sm_entrypoints.features.backbone import Backbone
from sm_entrypoints.features.keep import Picture
from sm_entrypoints.images.channels import DataSetError, Split
from sm_entrypoints.images.preparation import (
    TRAINING_FORMATS,
    ImageError,
    evaluation_pixels,
    open_image,
)
from sm_entrypoints.models.model import ModelCard

# On a CPU larger batches are no faster, and need more memory.
BATCH = {"cpu": 16, "cuda": 128}
_MOST_THREADS = 16
# How many batches of pictures are read ahead.
_AHEAD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A picture of a split."""

    split: Split
    index: int

    @property
    def path(self) -> Path:
        """Its file."""
        return self.split.folder / self.split.paths[self.index]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A picture that was read: ``pixels`` only of those that the backbone has to see."""

    place: Place
    picture: Picture
    pixels: Tensor | None


class Reader:
    """Reads pictures; decodes each of those whose bytes are new to it, and not in ``kept``.

    Any thread may call it.
    """

    def __init__(self, card: ModelCard, kept: Callable[[Picture], bool]) -> None:
        self._card = card
        self._kept = kept
        self._taken: set[Picture] = set()
        self._lock = threading.Lock()

    def read(self, place: Place) -> Seen:
        """Return a picture, read and, if it is new, decoded.

        Raises:
            DataSetError: it cannot be read or decoded; names it.
        """
        name = f"{place.split.name}/{place.split.paths[place.index]}"
        try:
            data = place.path.read_bytes()
            picture = hashlib.sha256(data).digest()
            pixels = self._decode(data, place) if self._is_new(picture) else None
        except ImageError as error:
            raise DataSetError(f"bad image {name}: {error}") from None
        except OSError as error:
            raise DataSetError(f"image {name} cannot be read: {clause(error)}") from None
        return Seen(place=place, picture=picture, pixels=pixels)

    def _is_new(self, picture: Picture) -> bool:
        with self._lock:
            new = picture not in self._taken and not self._kept(picture)
            if new:
                self._taken.add(picture)
        return new

    def _decode(self, data: bytes, place: Place) -> Tensor:
        image = open_image(
            data,
            formats=TRAINING_FORMATS,
            least_side=self._card.least_side,
            name=place.path.name,
        )
        return evaluation_pixels(image, self._card)


def read_ahead(reader: Reader, places: Iterable[Place], *, batch: int) -> Iterator[Seen]:
    """Yield pictures in their order, while threads read those that follow.

    Raises:
        DataSetError: a picture is bad; the pass is over then.
    """
    threads = min(_MOST_THREADS, max(1, os.cpu_count() or 1))
    left, waiting = iter(places), deque[Future[Seen]]()
    with ThreadPoolExecutor(threads, thread_name_prefix="read") as pool:
        try:
            waiting.extend(pool.submit(reader.read, each) for each in islice(left, _AHEAD * batch))
            while waiting:
                yield waiting.popleft().result()
                waiting.extend(pool.submit(reader.read, each) for each in islice(left, 1))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def computed(backbone: Backbone, seen: Iterable[Seen]) -> Iterator[tuple[list[Seen], Tensor]]:
    """Yield batches of the pictures that have pixels, each with its features."""
    batch: list[Seen] = []
    size = BATCH.get(backbone.built.compute.device.type, 16)
    for each in seen:
        if each.pixels is not None:
            batch.append(each)
        if len(batch) == size:
            yield batch, _forward(backbone, batch)
            batch = []
    if batch:
        yield batch, _forward(backbone, batch)


def _forward(backbone: Backbone, batch: list[Seen]) -> Tensor:
    return backbone.features(
        torch.stack([each.pixels for each in batch if each.pixels is not None])
    )
