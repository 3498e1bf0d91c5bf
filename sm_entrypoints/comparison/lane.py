"""One variant of a comparison, run in blocks beside the other one in the same process.

A block must measure only the variant's own steady work. The loader therefore gets exactly the
batches of one block at a time: its worker processes stay alive between blocks, but are idle while
the other variant is measured. Each block starts with steps that are not timed (the pipeline fills
up again) and ends with batches that are fetched but not used (workers are as busy in the last timed
step as in the first).
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from sm_entrypoints.images.batches import Batch, BatchOrder, Key, make_loader
from sm_entrypoints.training.network import set_training
from sm_entrypoints.training.optimisation import rate_factor
from sm_entrypoints.training.state import Training
from sm_entrypoints.training.step import learn, validate, validation_loader


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """What a block took; ``lead_*`` is the part before, which is not the variant's steady work."""

    images: int
    seconds: float
    lead_images: int
    lead_seconds: float

    @property
    def seconds_per_image(self) -> float:
        """Seconds of training an image."""
        return self.seconds / self.images


class Lane:
    """A training that continues forever, one block at a time. ``threads`` 0 keeps torch's
    choice."""

    def __init__(self, training: Training, *, threads: int) -> None:
        self.training = training
        self._threads = training.arguments.threads or threads
        data, arguments = training.train.data, training.arguments
        self.steps_per_epoch = len(BatchOrder(len(data), arguments.batch_size, seed=arguments.seed))
        self._order = _BlockOrder(len(data), arguments.batch_size, seed=arguments.seed)
        self._loader = make_loader(data, self._order, arguments.num_workers)
        self._validation = validation_loader(training)
        self._steps = 0
        workers = self._loader.num_workers
        self._round = max(1, workers)
        self._lead = 1 + workers
        self._tail = workers * (self._loader.prefetch_factor or 0)

    @property
    def images(self) -> int:
        """Training images of an epoch."""
        return len(self.training.train.data)

    def block(self, images: int) -> Block:
        """Learn from about ``images`` images: whole batches, two at least, equally many a worker.

        Workers that started together deliver together: part of such a round would come for free.
        """
        torch.set_num_threads(self._threads)
        training = self.training
        set_training(training.model, frozen=training.frozen, given=training.pretrained)
        steps = max(2, round(images / (self.images / self.steps_per_epoch)))
        timed = math.ceil(steps / self._round) * self._round
        self._order.block = self._lead + timed + self._tail
        started, batches = self._now(), iter(self._loader)
        lead_images = self._learn(itertools.islice(batches, self._lead))
        began = self._now()
        learned = self._learn(itertools.islice(batches, timed))
        ended = self._now()
        for _ in batches:  # the workers were told to make them
            pass
        return Block(
            images=learned,
            seconds=ended - began,
            lead_images=lead_images,
            lead_seconds=began - started,
        )

    def validate(self) -> tuple[float, float]:
        """Return the validation loss and the seconds that it took."""
        torch.set_num_threads(self._threads)
        started = self._now()
        scores = validate(self.training, self._validation)
        return float(scores.means()["loss"] or 0.0), self._now() - started

    def _learn(self, batches: Iterator[Batch]) -> int:
        training, total = self.training, self.steps_per_epoch * self.training.arguments.epochs
        images = 0
        for batch in batches:
            factor = rate_factor(training.arguments, self._steps % total, self.steps_per_epoch)
            learn(training, training.network, batch, factor)
            self._steps += 1
            images += len(batch.labels)
        return images

    def _now(self) -> float:
        if self.training.compute.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()


class _BlockOrder(BatchOrder):
    """The batches of one epoch after the other, given out ``block`` at a time."""

    block = 1

    def __len__(self) -> int:
        return self.block

    def __iter__(self) -> Iterator[list[Key]]:
        if not hasattr(self, "_stream"):
            self._stream = self._endless()
        yield from itertools.islice(self._stream, self.block)

    def _endless(self) -> Iterator[list[Key]]:
        while True:
            self.epoch += 1
            yield from super().__iter__()
