"""Losses of every step, and statistics of a model's tensors at some steps.

Sampled in training steps only: the network's input and output; inputs and outputs of ReLU modules,
inputs of Tanh and Sigmoid; gradients, weights and update ratios of trained parameters.
:mod:`sm_entrypoints.instrumentation.tensors.stride` chooses the steps. In addition, a step whose
result is not finite becomes a sampled one while its tensors still exist. Names are smdebug's
(``gradient/ResNet_fc.weight``, ``layer1.0.relu_output_0``).
"""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from sm_entrypoints.contract import HISTOGRAMS_FILE, REDUCTIONS_FILE
from sm_entrypoints.contract.tensor_records import TensorStatistics
from sm_entrypoints.instrumentation.line_writer import Place
from sm_entrypoints.instrumentation.phases import TRAIN
from sm_entrypoints.instrumentation.tensors.activations import FEATURES, Activations
from sm_entrypoints.instrumentation.tensors.histograms import HistogramRecorder
from sm_entrypoints.instrumentation.tensors.non_finite import NonFiniteDetector
from sm_entrypoints.instrumentation.tensors.parameters import Parameters
from sm_entrypoints.instrumentation.tensors.reduction_file import (
    DEFAULT_QUOTA_BYTES,
    Observe,
    ReductionFile,
)
from sm_entrypoints.instrumentation.tensors.stride import Stride
from sm_entrypoints.instrumentation.tensors.summary import summarize, summarize_sample
from sm_entrypoints.job.containment import Containment


class ReductionRecorder:
    """Write ``reductions.jsonl`` and ``histograms.jsonl``; call it in the order of a step.

    ``own_seconds`` is the time spent here inside the forward phase of the current step, to be
    taken out of that phase. Hooks that cost are on the model only during sampled steps.

    Args:
        folder: where the files go.
        model: the network that is stepped.
        containment: runs what happens inside the model's own calls.
        quota_bytes: how large ``reductions.jsonl`` may become.
        stride: a fixed distance between sampled steps; None adapts it to its cost.
        observe: gets every record, also those that the quota drops.
    """

    def __init__(
        self,
        folder: Path,
        model: nn.Module,
        *,
        containment: Containment,
        quota_bytes: int = DEFAULT_QUOTA_BYTES,
        stride: int | None = None,
        observe: Observe | None = None,
    ) -> None:
        self._stride = Stride(stride)
        path = folder / REDUCTIONS_FILE
        self._file = ReductionFile(path, quota_bytes=quota_bytes, observe=observe)
        self._histograms = HistogramRecorder(folder / HISTOGRAMS_FILE, model)
        self._activations = Activations(model, self._record_activation, containment)
        self._parameters = Parameters(model, self._record)
        self._detector = NonFiniteDetector(model, containment)
        self._place = Place(0, 0, TRAIN)
        self._cost = 0.0
        self._with_histograms = False
        self.sampling = False
        self.total_seconds = 0.0

    @property
    def stride(self) -> int:
        """The current distance between two sampled steps."""
        return self._stride.length

    @property
    def own_seconds(self) -> float:
        """Seconds of the current step's forward phase that were spent here."""
        return self._activations.seconds

    def begin_epoch(self, epoch: int, mode: str, step: int) -> None:
        """Begin an epoch of ``mode``, whose first step has the number ``step``."""
        self.detach()
        self._place = Place(step, epoch, mode)
        self._reset()
        if mode == TRAIN:
            self._detector.attach()
            if self._stride.due(step, begins_epoch=True):
                self._begin_sample()

    @property
    def fed_with_features(self) -> bool:
        """Whether the model is given features, not images."""
        return self._activations.fed == FEATURES

    def feed_features(self) -> None:
        """Take what the model is given for features instead of images from now on."""
        self._activations.fed = FEATURES

    def before_update(self) -> None:
        """Describe gradients and remember weights; call between backward and the update."""
        if self._place.mode != TRAIN:
            return
        began = time.perf_counter()
        if self._detector.broken_output():
            self._describe_broken_step()
        if self.sampling:
            self._record_gradients()
            self._parameters.remember()
        self._cost += time.perf_counter() - began

    def end_step(self, loss: float, seconds: float) -> None:
        """Record the loss, finish a sampled step, and decide whether the next one is sampled.

        Args:
            loss: the step's loss.
            seconds: the step's wall time without ``own_seconds``.
        """
        began = time.perf_counter()
        self._file.add_loss(self._place, loss)
        if not math.isfinite(loss):
            self._describe_broken_loss()
        if self.sampling:
            self._parameters.record_weights()
            for name, weight in self._histograms_of():
                self._histograms.record(self._place, "weights", name, weight)
        self._cost += self.own_seconds + time.perf_counter() - began
        self._finish_step(seconds)

    def close(self) -> None:
        """Take the hooks off the model and flush the files."""
        self.detach()
        try:
            self._file.close()
        finally:
            self._histograms.close()

    def detach(self) -> None:
        """Take the hooks off the model; the current step is not sampled any more."""
        self._activations.detach()
        self._detector.detach()
        self.sampling = False

    def summary(self) -> dict[str, Any]:
        """Return the members of ``summary.json`` that are known here."""
        return {
            "reductions": self._file.summary(),
            "histograms": self._histograms.summary(),
            "non_finite": list(self._detector.events),
            "stride": self.stride,
        }

    def _begin_sample(self) -> None:
        self.sampling = True
        self._with_histograms = self._histograms.due(self._place.step)
        self._activations.attach()

    def _finish_step(self, seconds: float) -> None:
        step, epoch, mode = self._place
        if self.sampling:
            self._activations.detach()
            self.sampling = False
            self._stride.sampled(step, seconds, self._cost, thinning=self._file.thinning)
        elif mode == TRAIN:
            self._stride.passed(seconds)
        self.total_seconds += self._cost
        self._place = Place(step + 1, epoch, mode)
        self._reset()
        if mode == TRAIN and self._stride.due(step + 1):
            self._begin_sample()

    def _describe_broken_step(self) -> None:
        """Make the current step a sampled one; name the tensor that was not finite first."""
        spent = self.own_seconds
        sampled = self.sampling
        first = self._detector.repeat_forward(lambda: None if sampled else self._begin_sample())
        # The repeated pass was no part of the forward phase.
        self._activations.seconds = spent
        self.sampling = True
        self._note(first)

    def _describe_broken_loss(self) -> None:
        """Describe a step whose loss alone is broken, or on a GPU: after the update, that is."""
        if self._detector.exhausted or self._detector.noted(self._place):
            return
        if self._place.mode == TRAIN and not self.sampling:
            self._record_gradients()
            self.sampling = True
        self._note(None)

    def _note(self, first: str | None) -> None:
        event = self._detector.note(self._place, first)
        step, epoch, mode = self._place
        cause = event["first"] or "the loss"
        print(f"{mode} step {step} (epoch {epoch}) is not finite, first {cause}", flush=True)

    def _record_activation(
        self, collection: str, name: str, value: Tensor, active: tuple[float, float] | None
    ) -> None:
        # What a ReLU gives is finite if what it took is: that was looked at in full.
        look = summarize_sample if collection == "relu_output" else summarize
        self._record(collection, name, look(value, active))
        if collection == "outputs" and self._with_histograms:
            self._histograms.record(self._place, collection, name, value)

    def _record_gradients(self) -> None:
        self._parameters.record_gradients()
        for name, weight in self._histograms_of():
            if weight.grad is not None:
                self._histograms.record(self._place, "gradients", f"gradient/{name}", weight.grad)

    def _histograms_of(self) -> list[tuple[str, nn.Parameter]]:
        return list(self._histograms.parameters()) if self._with_histograms else []

    def _record(self, collection: str, name: str, statistics: TensorStatistics) -> None:
        self._file.add(self._place, collection, name, statistics)

    def _reset(self) -> None:
        self._cost = 0.0
        self._activations.seconds = 0.0
        self._with_histograms = False
        self._parameters.forget()
        self._detector.forget()
