"""Describe trained parameters: gradients before an update, weights and their change after it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import nn

from sm_entrypoints.contract.tensor_records import TensorStatistics
from sm_entrypoints.instrumentation.tensors.summary import Values, describe, sampled, summarize

# As in SageMaker's WeightUpdateRatio rule: ratios of weights at zero stay finite.
RATIO_EPSILON = 1e-9

# Collection, name, statistics.
Record = Callable[[str, str, TensorStatistics], None]


class Parameters:
    """The trainable parameters of a model, by smdebug's names (``ResNet_fc.weight``)."""

    def __init__(self, model: nn.Module, record: Record) -> None:
        self._model = model
        self._prefix = type(model).__name__
        self._record = record
        self._before: dict[str, Values] = {}

    def forget(self) -> None:
        """Drop what was remembered of the current step."""
        self._before.clear()

    def record_gradients(self) -> None:
        """Record the gradients that are there (a parameter that was not used has none)."""
        for name, parameter in self._trainable():
            if parameter.grad is not None:
                self._record("gradients", f"gradient/{name}", summarize(parameter.grad))

    def remember(self) -> None:
        """Remember the weights before the update."""
        for name, parameter in self._trainable():
            self._before[name] = sampled(parameter).copy()

    def record_weights(self) -> None:
        """Record the weights, and what the update changed if they were remembered."""
        for name, parameter in self._trainable():
            self._record("weights", name, summarize(parameter))
            before = self._before.pop(name, None)
            if before is not None:
                ratio = update_ratio(before, sampled(parameter))
                self._record("update_ratios", f"update_ratio/{name}", describe(ratio))

    def _trainable(self) -> list[tuple[str, nn.Parameter]]:
        # Asked each time: training may freeze and thaw.
        return [
            (f"{self._prefix}_{name}", parameter)
            for name, parameter in self._model.named_parameters()
            if parameter.requires_grad
        ]


def update_ratio(before: Values, now: Values) -> Values:
    """Return by how much of itself each element of a weight has changed."""
    # Weights that are not finite have no ratio, and a weight at zero may have a huge one.
    with np.errstate(all="ignore"):
        ratio: Values = np.abs(now - before) / (np.abs(before) + RATIO_EPSILON)
    return ratio
