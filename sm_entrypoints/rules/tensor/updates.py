"""Rules about learning itself: vanishing gradients, updates out of proportion to the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sm_entrypoints.contract.tensor_records import TensorRecord
from sm_entrypoints.rules.result import Mark
from sm_entrypoints.rules.tensor.job import TensorJob
from sm_entrypoints.rules.tensor.watch import TensorWatch, is_weight, tensor_rule

# A gradient of a loss that has come down to this is small because all has been learnt.
_LEARNT_LOSS = 0.02
# A ratio to a weight of zero is the update divided by epsilon, at least 1e-4 / 1e-9. Rates are at
# most 100, so that ratios to other weights stay far below.
_RATIO_TO_ZERO = 1e5


class VanishingGradient(TensorWatch):
    """A weight whose gradient is next to nothing, at ``patience`` samples in a row.

    Left out, because there it is not a fault: biases (none before batch normalisation), gradients
    when the loss is next to nothing itself, and the first step alone (a head that starts at zero
    passes no gradient back in it).
    """

    rule = "VanishingGradient"
    collections = ("gradients", "losses")

    def __init__(self, job: TensorJob, parameters: Mapping[str, Any]) -> None:
        super().__init__(job, parameters)
        self._loss = math.inf
        self._gradients = 0

    def _look(self, record: TensorRecord) -> Mark | None:
        if record.collection == "losses":
            if record.mode == "TRAIN":
                self._loss = math.nan if record.mean is None else record.mean
            return None
        self._gradients += 1
        if record.abs_mean is None or not is_weight(record.name):
            return None
        small = record.abs_mean < self.parameters["threshold"]
        broken = small and not self._loss < _LEARNT_LOSS
        message = f"the mean size of {record.name} is {record.abs_mean:.1e}"
        return self.lasting(record, broken, message)

    def _reason_not_to_apply(self) -> str | None:
        return None if self._gradients else "no gradients were recorded"


class WeightUpdateRatio(TensorWatch):
    """Updates larger than ten times the weight, or too small to matter.

    AWS takes every element of |update| / (|weight| + epsilon). In any healthy layer some weights
    are near zero, and their ratios huge; so the *middle* of the ratios counts here: the geometric
    mean of their 5th and 95th percentile for ``large_threshold``, the 95th percentile itself for
    ``small_threshold``. Weights of exactly zero (a head that starts at zero) have no ratio. Small
    updates in the last quarter of a job are the schedule's doing.
    """

    rule = "WeightUpdateRatio"
    collections = ("update_ratios",)

    def _look(self, record: TensorRecord) -> Mark | None:
        if record.p5 is None or record.p95 is None or not is_weight(record.name):
            return None
        name = record.name.removeprefix("update_ratio/")
        middle = math.sqrt(max(0.0, record.p5) * max(0.0, record.p95))
        if self.parameters["large_threshold"] < middle and record.p5 < _RATIO_TO_ZERO:
            self.violations += 1
            message = f"one update changed {name} by {middle:.0f} times its weights"
            return self.trigger(record, message, name)
        small = record.p95 < self.parameters["small_threshold"] and not self.job.rests(record.step)
        message = f"updates leave {name} unchanged ({record.p95:.0e})"
        return self.lasting(record, small, message, name)


UPDATE_RULES = (
    tensor_rule(
        VanishingGradient,
        description="Looks for layers that get (almost) no gradient, so that they cannot learn.",
        threshold="The mean |gradient| of a weight is below 1e-7 at two samples in a row, while "
        "the loss is above 0.02.",
        recommendation="Use a network with normalisation or residual connections, pretrained "
        "weights, or initial weights of a larger scale; saturated sigmoids and tanhs do this "
        "too.",
        parameters={"threshold": 1e-7, "patience": 2},
    ),
    tensor_rule(
        WeightUpdateRatio,
        description="Compares each update with the weights that it changes.",
        threshold="The median of |update| / |weight| is above 10, or 95% of them are below 1e-8, "
        "at three samples in a row.",
        recommendation="Too large: lower the learning rate. Too small: raise it; about a "
        "thousandth of the weight each step is healthy.",
        parameters={
            "large_threshold": 10.0,
            "small_threshold": 1e-8,
            "epsilon": 1e-9,
            "patience": 3,
        },
    ),
)
