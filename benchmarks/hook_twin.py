"""A network that takes steps for the hook's benchmark, with or without an observer."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torchvision
from torch import Tensor, nn

from benchmarks.interleaving import Times
from sm_entrypoints.instrumentation.tensors.reductions import ReductionRecorder

CLASSES, DENSE = 133, 10
# What is timed: steps without a hook, steps between samples, a sampled step with the one after it.
PLAIN, BETWEEN, SAMPLED = "plain", "between samples", "sampled and next"


class Twin:
    """A network with its optimiser; every twin starts alike and sees the same batch."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        torch.manual_seed(0)
        self.model = torchvision.models.resnet18(num_classes=CLASSES)
        self.model = self.model.to(memory_format=torch.channels_last)
        self.loss_function = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9)
        self.images, self.labels = images, labels
        self.recorder: ReductionRecorder | None = None
        self.after_cycle: Callable[[], None] = lambda: None
        self.times = Times()

    def step(self) -> None:
        """Take one step, and tell the recorder what a training loop tells it."""
        began = time.perf_counter()
        loss = self.loss_function(self.model(self.images), self.labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        own = 0.0
        if self.recorder is not None:
            paused = time.perf_counter()
            own = self.recorder.own_seconds
            self.recorder.before_update()
            own += time.perf_counter() - paused
        self.optimizer.step()
        value = float(loss.detach())
        if self.recorder is not None:
            self.recorder.end_step(value, time.perf_counter() - began - own)

    def settle(self, steps: int) -> None:
        """Take steps that do not count: allocations, first samples."""
        for _ in range(steps):
            self.step()
        self.after_cycle()

    def watched_cycle(self, *, in_turn: bool) -> None:
        """Take ``DENSE`` steps, the first of them sampled; time them.

        ``in_turn`` has a step without the recorder before each of those that are not sampled.
        """
        self.times.begin_cycle()
        with self.times.of(SAMPLED):
            self.step()
            self.step()
        for _ in range(DENSE - 2):
            if in_turn:
                with self._unwatched(), self.times.of(PLAIN):
                    self.step()
            with self.times.of(BETWEEN):
                self.step()
        self.after_cycle()

    @contextmanager
    def _unwatched(self) -> Iterator[None]:
        """Take the recorder off; between samples its only hook is one on the whole network."""
        recorder, hooks = self.recorder, self.model._forward_hooks
        self.recorder, self.model._forward_hooks = None, OrderedDict()
        try:
            yield
        finally:
            self.recorder, self.model._forward_hooks = recorder, hooks
