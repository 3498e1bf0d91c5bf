"""Rules about values: not finite, all zero, unchanging, too large or too small a spread."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sm_entrypoints.contract.tensor_records import TensorRecord
from sm_entrypoints.rules.result import Mark
from sm_entrypoints.rules.tensor.job import TensorJob
from sm_entrypoints.rules.tensor.watch import Streak, TensorWatch, is_weight, tensor_rule


class ExplodingTensor(TensorWatch):
    """Any NaN or infinity, in any tensor, at once."""

    rule = "ExplodingTensor"
    collections = (
        *("losses", "inputs", "features", "relu_input", "relu_output", "tanh_input"),
        *("sigmoid_input", "outputs", "gradients", "weights"),
    )

    def _look(self, record: TensorRecord) -> Mark | None:
        infinite = 0 if self.parameters["only_nan"] else record.inf
        if not record.nan and not infinite:
            return None
        self.violations += 1
        what = [f"{record.nan} NaN"] if record.nan else []
        what += [f"{infinite} infinite"] if infinite else []
        return self.trigger(record, f"{record.name} has {' and '.join(what)} values")


class AllZero(TensorWatch):
    """A tensor of zeros only, at ``patience`` samples in a row.

    Patience, because the gradients behind a head that starts at zero (vision transformers) are zero
    in the first step. Biases are left out, and ReLU outputs, which have their own rule.
    """

    rule = "AllZero"
    collections = ("inputs", "outputs", "gradients", "weights")

    def _look(self, record: TensorRecord) -> Mark | None:
        is_bias = record.collection in ("gradients", "weights") and not is_weight(record.name)
        if record.zero_fraction is None or is_bias:
            return None
        broken = record.zero_fraction * 100 >= self.parameters["threshold"]
        return self.lasting(record, broken, f"{record.name} is {record.zero_fraction:.0%} zeros")


class UnchangedTensor(TensorWatch):
    """A weight, the network's output or the loss that stays unchanged over ``num_steps`` samples.

    AWS compares the elements with numpy.allclose; here a weight is unchanged when 95% of its
    elements moved by less than ``rtol`` of themselves from one step to the next, an output or a
    loss when all its statistics are equal within ``rtol`` and ``atol``. ``rtol`` for weights is
    ``update_rtol``: AWS's saved steps are hundreds of updates apart, these are one. The last
    quarter of a job is left out: most schedules end at a rate of zero.
    """

    rule = "UnchangedTensor"
    collections = ("update_ratios", "outputs", "losses")

    def __init__(self, job: TensorJob, parameters: Mapping[str, Any]) -> None:
        super().__init__(job, parameters)
        # Three samples that are equal are two comparisons; an update is a comparison by itself.
        self._same = Streak(int(self.parameters["num_steps"]) - 1)
        self._still = Streak(int(self.parameters["num_steps"]))
        self._before: dict[str, tuple[float, ...]] = {}

    def _look(self, record: TensorRecord) -> Mark | None:
        if record.mode != "TRAIN" or self.job.rests(record.step):
            return None
        if record.collection == "update_ratios":
            return self._look_at_update(record)
        values = (record.mean, record.std, record.min, record.max, record.abs_mean)
        now = tuple(math.nan if value is None else value for value in values)
        before = self._before.get(record.name)
        self._before[record.name] = now
        same = before is not None and self._close(before, now)
        return self._count(record, same, self._same)

    def _look_at_update(self, record: TensorRecord) -> Mark | None:
        if record.p95 is None or not is_weight(record.name):
            return None
        return self._count(record, record.p95 <= self.parameters["update_rtol"], self._still)

    def _close(self, before: tuple[float, ...], now: tuple[float, ...]) -> bool:
        """Compare statistics; those that a record has not (losses: all but the mean) are equal."""
        rtol, atol = self.parameters["rtol"], self.parameters["atol"]
        return not math.isnan(now[0]) and all(
            abs(a - b) <= atol + rtol * abs(b) or (math.isnan(a) and math.isnan(b))
            for a, b in zip(before, now, strict=True)
        )

    def _count(self, record: TensorRecord, same: bool, streak: Streak) -> Mark | None:
        self.violations += same
        if not streak.add(record.name, same):
            return None
        subject = record.name.removeprefix("update_ratio/")
        times = self.parameters["num_steps"]
        return self.trigger(record, f"{subject} has not changed over {times} samples", subject)


class TensorVariance(TensorWatch):
    """A layer's input or the network's output with (almost) no variance, or with far too much.

    AWS's rule has no bounds of its own; these are so wide that no learning network reaches them.
    """

    rule = "TensorVariance"
    collections = ("relu_input", "tanh_input", "sigmoid_input", "outputs")

    def _look(self, record: TensorRecord) -> Mark | None:
        if record.std is None:
            return None
        variance = record.std**2
        low, high = self.parameters["min_threshold"], self.parameters["max_threshold"]
        side, bound = ("below", low) if variance < low else ("above", high)
        message = f"the variance of {record.name} is {variance:.3g}, {side} {bound:g}"
        return self.lasting(record, variance < low or variance > high, message)


VALUE_RULES = (
    tensor_rule(
        ExplodingTensor,
        description="Looks for values that are not finite: once the weights contain NaN, "
        "everything after that is meaningless.",
        threshold="A value of the loss, the inputs, an activation, a gradient or a weight is NaN "
        "or infinite.",
        recommendation="Lower the learning rate by a factor of ten; if the inputs themselves are "
        "not finite, look for bad images or weights.",
        parameters={"only_nan": False},
    ),
    tensor_rule(
        AllZero,
        description="Looks for weights, gradients, inputs or outputs that are all zero.",
        threshold="All values of a tensor are zero at two samples in a row.",
        recommendation="A weight that is all zero passes nothing on and learns nothing: "
        "initialise it at random. All-zero inputs are empty images.",
        parameters={"threshold": 100.0, "patience": 2},
    ),
    tensor_rule(
        UnchangedTensor,
        description="Looks for weights, outputs or losses that do not change at all.",
        threshold="A tensor does not change beyond rounding over three samples in a row, in the "
        "first three quarters of the job.",
        recommendation="Raise the learning rate, and check whether the layers that should "
        "learn are frozen or get no gradient.",
        parameters={"num_steps": 3, "rtol": 1e-5, "atol": 1e-8, "update_rtol": 1e-8},
    ),
    tensor_rule(
        TensorVariance,
        description="Looks for activations and outputs that hardly vary, or vary wildly.",
        threshold="The variance is below 1e-16 or above 1e6 at two samples in a row.",
        recommendation="No variance: the layers before pass nothing on (bad initial weights, dead "
        "units). Too much: lower the learning rate, or normalise the inputs.",
        parameters={"min_threshold": 1e-16, "max_threshold": 1e6, "patience": 2},
    ),
)
