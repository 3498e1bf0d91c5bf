"""Batches of images: decoded, augmented, in order or shuffled.

Everything random here (order, crops, flips) depends on the seed, the epoch and the image, never on
a global state, so an epoch can be repeated, resumed in the middle or shared by workers.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from sm_entrypoints.contract.hyperparameters import Augmentation
from sm_entrypoints.images.channels import DataSetError, Split
from sm_entrypoints.images.decoding import ImageError
from sm_entrypoints.images.preparation import TRAINING_FORMATS, evaluation_pixels, open_image
from sm_entrypoints.images.views import Views, cropped, drawn, drawn_in_epoch
from sm_entrypoints.instrumentation.profiler.workers import Making
from sm_entrypoints.models.model import ModelCard

# Below this, starting worker processes costs more than they save.
_WORTH_WORKERS = 512

# Keys are (epoch, index); samples are (inputs, labels, indices).
Key = tuple[int, int]
Samples = tuple[Tensor, Tensor, Tensor]


class Batch(NamedTuple):
    """Samples as a loader gives them: ``indices`` are places in the split, int64 like labels.

    ``making`` is None if the making of the batch was not timed.
    """

    inputs: Tensor
    labels: Tensor
    indices: Tensor
    making: Making | None = None


class ImageData(Dataset[Samples]):
    """Images of a split as uint8, shape (batch, 3, size, size), decoded when asked for.

    A bad file raises :class:`DataSetError` that names it. After :meth:`preload` images come from
    memory; not with ``augmentation="standard"``, whose crops need the original.

    Args:
        split: what to read.
        card: how to prepare it.
        augmentation: what happens to an image in each epoch.
        seed: of everything random.
        views: with some, an epoch shows an image or one of these instead of a new random version.
    """

    def __init__(
        self,
        split: Split,
        card: ModelCard,
        *,
        augmentation: Augmentation = "none",
        seed: int = 0,
        views: Views | None = None,
    ) -> None:
        self.split = split
        self.card = card
        self.augmentation = augmentation
        self.seed = seed
        # A flip is the only view of its kind, and is drawn as it always is.
        self.views = views if views and views.count and views.need_whole_pictures else None
        self.labels = torch.tensor(split.labels, dtype=torch.int64)
        self._pixels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.split)

    @property
    def preloaded(self) -> bool:
        """Whether the images are in memory."""
        return self._pixels is not None

    @property
    def memory(self) -> int:
        """The bytes that the images would take in memory."""
        return len(self) * 3 * self.card.image_size**2

    def preload(self, threads: int) -> None:
        """Decode every image once, by ``threads`` threads (the decoder releases the GIL)."""
        if self.augmentation == "standard" or self.preloaded:
            return
        size = self.card.image_size
        pixels = torch.empty((len(self), 3, size, size), dtype=torch.uint8)

        def decode(index: int) -> None:
            pixels[index] = evaluation_pixels(self._open(index), self.card)

        with ThreadPoolExecutor(max_workers=threads) as pool:
            for _ in pool.map(decode, range(len(self))):
                pass
        self._pixels = pixels

    def forget_pixels(self) -> None:
        """Let go of what :meth:`preload` keeps; images come from their files again."""
        self._pixels = None

    def __getitems__(self, keys: list[Key]) -> Samples:
        indices = torch.tensor([index for _, index in keys])
        if self._pixels is not None:
            pixels = self._pixels[indices]
        else:
            pixels = torch.stack([self._decode(epoch, index) for epoch, index in keys])
        if self.augmentation != "none" and self.views is None:
            flips = torch.tensor([self._random(*key).random() < 0.5 for key in keys])
            pixels[flips] = pixels[flips].flip(-1)
        return pixels, self.labels[indices], indices

    def _decode(self, epoch: int, index: int) -> Tensor:
        if self.views is not None:
            return self._decode_version(self.views, epoch, index)
        if self.augmentation != "standard":
            return evaluation_pixels(self._open(index), self.card)
        image = self._open(index, whole=True)
        return cropped(image, self.card, self._random(epoch, index, 1))

    def _decode_version(self, views: Views, epoch: int, index: int) -> Tensor:
        version = drawn(self.seed, epoch, index, views.count)
        image = self._open(index, whole=version > 0)
        picture = hashlib.sha256(self.split.file(index).read_bytes()).digest() if version else b""
        return views.pixels(image, self.card, picture, version)

    def _random(self, *key: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, *key))

    def _open(self, index: int, *, whole: bool = False) -> Image.Image:
        # A random crop may be a small part of the picture: it needs all pixels that there are.
        least_side = None if whole else self.card.least_side
        try:
            file = self.split.file(index)
            return open_image(file, formats=TRAINING_FORMATS, least_side=least_side)
        except ImageError as error:
            path = self.split.paths[index]
            raise DataSetError(f"bad image {self.split.name}/{path}: {error}") from None


class TensorData(Dataset[Samples]):
    """Inputs that are already tensors: the features of a frozen backbone.

    Args:
        inputs: shape (samples, …), or with ``views`` (samples, views + 1, …): all versions of each
            sample, of which an epoch shows one.
        labels: of the samples.
        views: how many versions there are besides the sample itself, which is version 0.
        seed: which version an epoch shows follows from it.
    """

    def __init__(self, inputs: Tensor, labels: Tensor, *, views: int = 0, seed: int = 0) -> None:
        self.inputs = inputs
        self.labels = labels
        self.views = views
        self.seed = seed

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def shape(self) -> torch.Size:
        """The shape of one input."""
        return self.inputs.shape[2 if self.views else 1 :]

    def __getitems__(self, keys: list[Key]) -> Samples:
        indices = torch.tensor([index for _, index in keys])
        if not self.views:
            return self.inputs[indices], self.labels[indices], indices
        versions = torch.tensor([drawn(self.seed, *key, self.views) for key in keys])
        return self.inputs[indices, versions], self.labels[indices], indices

    def of_epoch(self, rows: Tensor, *, seed: int, epoch: int) -> Tensor:
        """Return inputs as an epoch of a training with another seed shows them."""
        if not self.views:
            return self.inputs[rows]
        versions = drawn_in_epoch(seed, epoch, len(self), self.views)[rows.cpu()].long()
        return self.inputs[rows, versions.to(rows.device)]


class TimedData(Dataset[Batch]):
    """The batches of ``data``, each with how it was made; runs where the batch is made."""

    def __init__(self, data: ImageData | TensorData) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitems__(self, keys: list[Key]) -> Batch:
        started, began = time.time(), time.perf_counter()
        inputs, labels, indices = self.data.__getitems__(keys)
        return Batch(inputs, labels, indices, Making.since(started, began))


class BatchOrder(Sampler[list[Key]]):
    """The batches of one process: shuffled anew each epoch for training, in order otherwise.

    Training gives every process equally many samples (at most world_size - 1 samples of an epoch
    are left out, others each epoch); evaluation gives each sample to exactly one process.
    """

    def __init__(
        self, count: int, batch_size: int, *, seed: int | None = None, shard: Key = (0, 1)
    ) -> None:
        self.count = count
        self.batch_size = batch_size
        self.seed = seed
        self.rank, self.world_size = shard
        self.epoch = 0
        self.skip = 0

    def __len__(self) -> int:
        return len(self._batches()) - self.skip

    def __iter__(self) -> Iterator[list[Key]]:
        for batch in self._batches()[self.skip :]:
            yield [(self.epoch, int(index)) for index in batch]

    def _batches(self) -> list[Any]:
        order: NDArray[np.int64] = np.arange(self.count, dtype=np.int64)
        if self.seed is not None:
            order = np.random.default_rng((self.seed, self.epoch)).permutation(self.count)
            order = order[: self.count - self.count % self.world_size]
        mine = order[self.rank :: self.world_size]
        cuts = list(range(self.batch_size, len(mine), self.batch_size))
        # Batch normalisation cannot learn from one sample: the last one joins its neighbours.
        if self.seed is not None and cuts and len(mine) - cuts[-1] == 1 and self.batch_size > 1:
            cuts.pop()
        return [batch for batch in np.split(mine, cuts) if len(batch)]


def make_loader(
    data: ImageData | TensorData, order: BatchOrder, num_workers: int = -1
) -> DataLoader[Batch]:
    """Return the batches of ``data`` in ``order``; -1 workers means as many as pay."""
    if num_workers < 0:
        in_memory = isinstance(data, TensorData) or data.preloaded
        worth = not in_memory and len(data) >= _WORTH_WORKERS
        num_workers = min(8, max(1, (os.cpu_count() or 1) - 1)) if worth else 0
    return DataLoader(
        TimedData(data),
        batch_sampler=order,
        num_workers=num_workers,
        collate_fn=_whole_batch,
        persistent_workers=num_workers > 0,
        pin_memory=torch.cuda.is_available(),
    )


def _whole_batch(batch: Any) -> Any:
    """Return what ``__getitems__`` made: it is a batch already."""
    return batch
