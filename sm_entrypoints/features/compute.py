"""The pass over pictures: read and decoded by threads while the backbone computes.

Each picture's bytes are read once. Bounded memory: a few batches of decoded pictures wait.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import torch
from PIL import Image
from torch import Tensor

from sm_entrypoints.contract import TRAIN_CHANNEL
from sm_entrypoints.contract.sentences import clause
from sm_entrypoints.features.backbone import Backbone
from sm_entrypoints.features.keep import Picture
from sm_entrypoints.images.channels import DataSetError, Split
from sm_entrypoints.images.decoding import ImageError
from sm_entrypoints.images.preparation import TRAINING_FORMATS, open_image
from sm_entrypoints.images.views import Views
from sm_entrypoints.models.model import ModelCard

# On a CPU larger batches are no faster, and need more memory.
BATCH = {"cpu": 16, "cuda": 128}
_MOST_THREADS = 16
# How many batches of pictures are read ahead.
_AHEAD = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A picture of a split, and how many views of it are wanted besides."""

    split: Split
    index: int
    views: int = 0


def every_place(splits: Sequence[Split], views: Views | None = None) -> Iterator[Place]:
    """Yield the pictures of all splits in their order."""
    for split in splits:
        count = views_of(split, views)
        for index in range(len(split)):
            yield Place(split=split, index=index, views=count)


def rows_of(splits: Sequence[Split], views: Views) -> int:
    """Return how many rows the features of splits have, those of views included."""
    return sum(len(split) * (1 + views_of(split, views)) for split in splits)


def views_of(split: Split, views: Views | None) -> int:
    """Return how many views each picture of a split has: those that are trained on have some."""
    return views.count if views and split.name == TRAIN_CHANNEL else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A version of a picture that was read: 0 is itself, others are views of it.

    ``pixels`` only of those that the backbone has to see.
    """

    place: Place
    version: int
    picture: Picture
    pixels: Tensor | None


class Reader:
    """Reads pictures; decodes each of those whose bytes are new to it, and not in ``kept``.

    Any thread may call it.
    """

    def __init__(
        self, card: ModelCard, kept: Callable[[Picture], bool], views: Views | None = None
    ) -> None:
        self._card = card
        self._kept = kept
        self._views = views or Views()
        self._taken: set[Picture] = set()
        self._lock = threading.Lock()

    def read(self, place: Place) -> list[Seen]:
        """Return a picture and the views of it, read and, if they are new, decoded.

        Raises:
            DataSetError: it cannot be read or decoded; names it.
        """
        name = f"{place.split.name}/{place.split.paths[place.index]}"
        try:
            return self._versions(place.split.file(place.index).read_bytes(), place)
        except ImageError as error:
            raise DataSetError(f"bad image {name}: {error}") from None
        except OSError as error:
            raise DataSetError(f"image {name} cannot be read: {clause(error)}") from None

    def _versions(self, data: bytes, place: Place) -> list[Seen]:
        own, seen = hashlib.sha256(data).digest(), []
        opened: dict[bool, Image.Image] = {}
        for version in range(place.views + 1):
            picture, pixels = self._views.name(own, version), None
            if self._is_new(picture):
                whole = version > 0 and self._views.need_whole_pictures
                if whole not in opened:
                    opened[whole] = self._decode(data, place, whole=whole)
                pixels = self._views.pixels(opened[whole], self._card, own, version)
            seen.append(Seen(place=place, version=version, picture=picture, pixels=pixels))
        return seen

    def _is_new(self, picture: Picture) -> bool:
        with self._lock:
            new = picture not in self._taken and not self._kept(picture)
            if new:
                self._taken.add(picture)
        return new

    def _decode(self, data: bytes, place: Place, *, whole: bool) -> Image.Image:
        return open_image(
            data,
            formats=TRAINING_FORMATS,
            least_side=None if whole else self._card.least_side,
            name=place.split.file(place.index).name,
        )


def read_ahead(reader: Reader, places: Iterable[Place], *, batch: int) -> Iterator[Seen]:
    """Yield all versions of pictures in their order, while threads read those that follow.

    Raises:
        DataSetError: a picture is bad; the pass is over then.
    """
    threads = min(_MOST_THREADS, max(1, os.cpu_count() or 1))
    left, waiting = iter(places), deque[Future[list[Seen]]]()
    with ThreadPoolExecutor(threads, thread_name_prefix="read") as pool:
        try:
            waiting.extend(pool.submit(reader.read, each) for each in islice(left, 1))
            versions = 1 + (waiting[0].result()[-1].version if waiting else 0)
            ahead = max(threads, _AHEAD * batch // versions)
            waiting.extend(pool.submit(reader.read, each) for each in islice(left, ahead))
            while waiting:
                yield from waiting.popleft().result()
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
