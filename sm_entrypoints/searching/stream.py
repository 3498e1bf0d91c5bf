"""The training batches of one seed and one batch size: those that ``train.py`` would make.

Order and dropout depend on the seed and the epoch only, so all trials that share both read the
same batches, which are made once. They come in blocks of steps, through which one pack of heads
after another is trained: what a pack needs then stays in the processor's caches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout

from sm_entrypoints.images.batches import BatchOrder, make_loader
from sm_entrypoints.job.random_state import RandomState
from sm_entrypoints.searching.shared_features import SharedFeatures
from sm_entrypoints.searching.tail_plan import run
from sm_entrypoints.training.step import seed_dropout

# What a block holds at most: numbers that enter the tail, and samples.
_BLOCK_NUMBERS, _BLOCK_SAMPLES = 8 << 20, 4096


class Step(NamedTuple):
    """One batch: inputs of the own layers, the factors of their dropouts, labels."""

    inputs: Tensor
    noises: tuple[Tensor, ...]
    labels: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Steps that follow each other; ``random``: the state from which their layers draw."""

    steps: tuple[Step, ...]
    random: RandomState


class Stream:
    """The batches of one seed and one batch size.

    Args:
        shared: what all trials read.
        seed: of the order and the dropout.
        batch_size: samples a step.
    """

    def __init__(self, shared: SharedFeatures, *, seed: int, batch_size: int) -> None:
        self._seed = seed
        self.batch_size = batch_size
        self._shared = shared
        self._order = BatchOrder(len(shared.train), batch_size, seed=seed)
        self.steps_per_epoch = len(self._order)

    def epoch(self, epoch: int) -> Iterator[Block]:
        """Yield the blocks of an epoch; whoever reads them may draw from torch's random state."""
        self._order.epoch = epoch
        seed_dropout(self._seed, epoch)
        # A loader that starts draws as well, and training has one.
        iter(make_loader(self._shared.train, self._order, 0))
        device = self._shared.compute.device
        batches = [torch.tensor([index for _, index in batch]) for batch in self._order]
        samples = min(_BLOCK_SAMPLES, _BLOCK_NUMBERS // self._shared.train.shape.numel())
        length = max(1, samples // self.batch_size)
        for first in range(0, len(batches), length):
            before = RandomState.now(device)
            steps = self._steps(epoch, batches[first : first + length])
            after = RandomState.now(device)
            yield Block(steps=steps, random=before)
            if self._shared.plan.way != "apart":
                after.restore()

    @torch.no_grad()
    def _steps(self, epoch: int, batches: Sequence[Tensor]) -> tuple[Step, ...]:
        train = self._shared.train
        rows = torch.cat(list(batches)).to(train.inputs.device)
        inputs, labels = train.of_epoch(rows, seed=self._seed, epoch=epoch), train.labels[rows]
        sizes = [len(batch) for batch in batches]
        parts = zip(inputs.split(sizes), labels.split(sizes), strict=True)
        return tuple(self._step(*part) for part in parts)

    def _step(self, inputs: Tensor, labels: Tensor) -> Step:
        inputs = self._shared.compute.laid_out(inputs)
        # Modules of the tail are in training mode.
        inputs = run(self._shared.plan.before[self._shared.plan.fixed :], inputs)
        dropouts = [layer for layer in self._shared.plan.own if isinstance(layer, nn.Dropout)]
        if self._shared.plan.way == "apart":
            dropouts = []
        noises = tuple(
            dropout(inputs.new_ones((len(inputs), *shape)), layer.p, training=True)
            for layer, shape in zip(dropouts, self._shared.shapes, strict=True)
        )
        return Step(inputs, noises, labels)
