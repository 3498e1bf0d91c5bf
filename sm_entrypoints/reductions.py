"""Losses of every step, and statistics of a model's tensors at some of them.

What is sampled: gradients, weights and update ratios of trainable parameters, inputs and outputs
of ReLU modules; in training steps only. A sampled step costs extra time, so the distance between
two of them (the stride) adapts until that time is ``OVERHEAD_TARGET`` of training time; the first
two steps of a job and the first of each epoch are always sampled. Names are smdebug's
(``gradient/ResNet_fc.weight``, ``layer1.0.relu_output_0``).
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from sm_entrypoints.containment import Containment
from sm_entrypoints.phases import TRAIN
from sm_entrypoints.records import LineWriter
from sm_entrypoints.rules.evidence import TensorRecord
from sm_entrypoints.tensor_statistics import TensorStatistics, flatten, sample, summarize

OVERHEAD_TARGET = 0.01
SHORTEST_STRIDE = 20
FIRST_STEPS = 2
DEFAULT_QUOTA_BYTES = 5_000_000
# Once half of a kind's bytes are used, what follows is thinned by this, to see the end as well.
THINNING = 16
# As in SageMaker's WeightUpdateRatio rule: ratios of weights at zero stay finite.
RATIO_EPSILON = 1e-9
RELU_TYPES = (nn.ReLU, nn.ReLU6)


class Quota:
    """Bytes that one kind of record may take; what does not fit is counted, never written."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.dropped = 0

    @property
    def thinning(self) -> int:
        """Return 1 while half of the bytes are free, then ``THINNING``."""
        return 1 if self.used < self.limit / 2 else THINNING

    def take(self, size: int) -> bool:
        """Reserve ``size`` bytes; False, and one drop counted, when they are not there."""
        if self.used + size > self.limit:
            self.dropped += 1
            return False
        self.used += size
        return True


class ReductionRecorder:
    """Write ``reductions.jsonl``. Call its methods in the order of a training step.

    ``own_seconds`` is the time spent here inside the forward phase of the current step, to be
    taken out of that phase. Hooks are on the model only during sampled steps.
    """

    def __init__(
        self,
        path: Path,
        model: nn.Module,
        *,
        containment: Containment,
        quota_bytes: int = DEFAULT_QUOTA_BYTES,
        observe: Callable[[TensorRecord], None] | None = None,
    ) -> None:
        self._observe = observe
        self._containment = containment
        self._writer = LineWriter(path)
        self._model = model
        self._prefix = type(model).__name__
        self._quotas = {"losses": Quota(quota_bytes // 2), "tensors": Quota(quota_bytes // 2)}
        self._handles: list[RemovableHandle] = []
        self._calls: Counter[str] = Counter()
        self._before: dict[str, Tensor] = {}
        self._cost = 0.0
        self._next = 0
        self._loss_lines = 0
        self._step = 0
        self._epoch = 0
        self._mode = TRAIN
        self._typical = 0.0
        self.stride = SHORTEST_STRIDE
        self.records = 0
        self.own_seconds = 0.0
        self.total_seconds = 0.0

    @property
    def sampling(self) -> bool:
        """Whether the current step is sampled."""
        return bool(self._handles)

    def begin_epoch(self, epoch: int, mode: str, step: int) -> None:
        """Begin an epoch of ``mode`` with the given step number; its first step is sampled."""
        self.detach()
        self._epoch, self._mode, self._step = epoch, mode, step
        self._reset()
        if mode == TRAIN:
            self._add_hooks()

    def before_update(self) -> None:
        """Describe gradients and remember weights; call between backward and the update."""
        if not self.sampling:
            return
        began = time.perf_counter()
        for name, parameter in self._trainable():
            if parameter.grad is not None:
                self._record("gradients", f"gradient/{name}", summarize(parameter.grad))
            self._before[name] = sample(flatten(parameter.detach())).clone()
        self._cost += time.perf_counter() - began

    def end_step(self, loss: float, seconds: float) -> None:
        """Record the loss, finish a sampled step, and decide whether the next one is sampled.

        Args:
            loss: the step's loss.
            seconds: the step's wall time without ``own_seconds``.
        """
        began = time.perf_counter()
        self._record_loss(loss)
        if self.sampling:
            self._record_weights()
            self.detach()
            self._adapt(self._cost + time.perf_counter() - began)
        elif self._mode == TRAIN:
            # Sampled and first steps are slower than others: they do not tell what is typical.
            self._typical = 0.9 * self._typical + 0.1 * seconds if self._typical else seconds
        self.total_seconds += self._cost + time.perf_counter() - began
        self._step += 1
        self._reset()
        if self._mode == TRAIN and (self._step < FIRST_STEPS or self._step >= self._next):
            self._add_hooks()

    def close(self) -> None:
        """Take the hooks off the model and flush the file."""
        self.detach()
        self._writer.close()

    def detach(self) -> None:
        """Take the hooks off the model; the current step is not sampled any more."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def summary(self) -> dict[str, int]:
        """Return the ``reductions`` member of ``summary.json``."""
        dropped = sum(quota.dropped for quota in self._quotas.values())
        size = self._writer.bytes_written
        return {"records": self.records, "dropped": dropped, "bytes": size}

    def _record_loss(self, loss: float) -> None:
        self._loss_lines += 1
        nan, inf = int(math.isnan(loss)), int(math.isinf(loss))
        mean = None if nan or inf else loss
        self._record("losses", "loss", TensorStatistics(mean=mean, nan=nan, inf=inf))

    def _record_weights(self) -> None:
        for name, parameter in self._trainable():
            self._record("weights", name, summarize(parameter))
            before = self._before.pop(name, None)
            if before is not None:
                now = sample(flatten(parameter.detach()))
                ratio = (now - before).abs().float() / (before.abs().float() + RATIO_EPSILON)
                self._record("update_ratios", f"update_ratio/{name}", summarize(ratio))

    def _adapt(self, cost: float) -> None:
        """Choose the distance to the next sample from what this one cost, in seconds."""
        if self._typical > 0:
            needed = math.ceil(cost / (OVERHEAD_TARGET * self._typical))
            self.stride = max(SHORTEST_STRIDE, needed)
        self._next = self._step + self.stride * self._quotas["tensors"].thinning

    def _trainable(self) -> list[tuple[str, nn.Parameter]]:
        return [
            (f"{self._prefix}_{name}", parameter)
            for name, parameter in self._model.named_parameters()
            if parameter.requires_grad
        ]

    def _add_hooks(self) -> None:
        for name, module in self._model.named_modules():
            if isinstance(module, RELU_TYPES):
                # The input before the call: most ReLU modules overwrite it.
                self._handles.append(module.register_forward_pre_hook(self._input_hook(name)))
                self._handles.append(module.register_forward_hook(self._output_hook(name)))
        # A model without ReLU modules still has gradients and weights to sample.
        self._handles.append(self._model.register_forward_hook(_ignore))

    def _input_hook(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...]) -> None:
            self._containment.run(self._record_activation, "relu_input", name, inputs[0])

        return hook

    def _output_hook(self, name: str) -> Any:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            self._containment.run(self._record_activation, "relu_output", name, output)

        return hook

    def _record_activation(self, collection: str, module: str, value: Any) -> None:
        began = time.perf_counter()
        key = f"{module}_{collection.removeprefix('relu_')}"
        if isinstance(value, Tensor):
            # Numbered by call: ResNet's blocks use one ReLU module twice.
            self._record(collection, f"{key}_{self._calls[key]}", summarize(value))
            self._calls[key] += 1
        spent = time.perf_counter() - began
        self.own_seconds += spent
        self._cost += spent

    def _record(self, collection: str, name: str, statistics: TensorStatistics) -> None:
        numbers: dict[str, Any] = {key: _short(value) for key, value in asdict(statistics).items()}
        record = TensorRecord(
            step=self._step,
            epoch=self._epoch,
            mode=self._mode,
            collection=collection,
            name=name,
            **numbers,
        )
        # The watch sees what the quota drops, too.
        if self._observe is not None:
            self._observe(record)
        losses = collection == "losses"
        quota = self._quotas["losses" if losses else "tensors"]
        if losses and self._loss_lines % quota.thinning:
            quota.dropped += 1
            return
        line = json.dumps(asdict(record), separators=(",", ":"))
        if quota.take(len(line) + 1):
            self._writer.write(line)
            self.records += 1

    def _reset(self) -> None:
        self._cost = 0.0
        self.own_seconds = 0.0
        self._calls.clear()
        self._before.clear()


def _short(value: float | int | None) -> float | int | None:
    """Keep six significant digits: half the bytes, and more than statistics deserve."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _ignore(module: nn.Module, inputs: Any, output: Any) -> None:
    """Mark the model as being sampled."""
