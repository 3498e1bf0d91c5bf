"""Rules about the network's units: bad initial weights, dead ReLUs, saturated sigmoids."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from sm_entrypoints.contract.tensor_records import TensorRecord
from sm_entrypoints.rules.result import Mark
from sm_entrypoints.rules.tensor.job import TensorJob
from sm_entrypoints.rules.tensor.watch import TensorWatch, is_weight, tensor_rule

# torchvision's squeeze-and-excitation blocks have ReLUs over one value a channel, whose sign is
# the same for most images by construction; their modules are called so.
_GATE = ".activation_output_"
# Without ``inactive_fraction`` (older files): when 99.5% of all elements are zero, at least half
# of the units must be active for less than 1% of them.
_SURELY_DEAD = 0.995


class PoorWeightInitialization(TensorWatch):
    """The signal dies out or blows up on its way through a fresh network.

    AWS compares the variances of all ReLU inputs in the first steps (largest by smallest above
    10), and gradients' p95 - p5 with 0.001. Deep networks with normalisation and residual
    connections violate both in good health. So the ratio is taken *per layer*: the geometric mean
    of the factor from layer to layer, and only in the first step: what comes later is training's
    doing. ``distribution_range`` is 1e-9, and half of the weights must be below it in ``steps``
    sampled steps, the first ones (a head that starts at zero passes no gradient back at first).
    Networks with given weights are not looked at.
    """

    rule = "PoorWeightInitialization"
    collections = ("relu_input", "gradients", "losses")

    def __init__(self, job: TensorJob, parameters: Mapping[str, Any]) -> None:
        super().__init__(job, parameters)
        self._step = -1
        self._variances: list[float] = []
        self._flat: list[bool] = []
        self._steps = 0
        self._equal = 0

    def _look(self, record: TensorRecord) -> Mark | None:
        if self.job.pretrained or record.mode != "TRAIN":
            return None
        if self._steps >= self.parameters["steps"]:
            return None
        if record.step != self._step:
            self._step, self._variances, self._flat = record.step, [], []
        if record.collection == "losses":  # the last record of a step
            return self._judge(record)
        if record.collection == "relu_input" and record.std is not None:
            self._variances.append(record.std**2)
        elif record.collection == "gradients" and is_weight(record.name) and record.p5 is not None:
            spread = (record.p95 or 0.0) - record.p5
            self._flat.append(spread < self.parameters["distribution_range"])
        return None

    def _reason_not_to_apply(self) -> str | None:
        if self.job.pretrained:
            return "the network started from given weights"
        if self._steps:
            return None
        return "no ReLU inputs or gradients of the first steps were recorded"

    def _judge(self, record: TensorRecord) -> Mark | None:
        if not self._variances and not self._flat:
            return None  # not a sampled step
        complaint = (self._unequal() if self._steps == 0 else None) or self._without_gradients()
        self._steps += 1
        if complaint is None:
            return None
        self.violations += 1
        return self.trigger(record, complaint, "initial weights")

    def _unequal(self) -> str | None:
        if len(self._variances) > 1:
            low, high = min(self._variances), max(self._variances)
            factor = (high / low) ** (1 / (len(self._variances) - 1)) if low > 0 else math.inf
            if factor > self.parameters["threshold"]:
                return (
                    f"the variance of ReLU inputs lies between {low:.2g} and {high:.2g}: a factor "
                    f"of {factor:.3g} a layer"
                )
        return None

    def _without_gradients(self) -> str | None:
        equal = sum(self._flat)
        self._equal += equal * 2 > len(self._flat)
        if self._equal < self.parameters["steps"]:
            return None
        return f"{equal} of {len(self._flat)} weights get (almost) equal gradients"


class DeadRelu(TensorWatch):
    """A ReLU layer most of whose units are silent for nearly all inputs.

    ``threshold_layer`` is AWS's 50% for networks that start at random, and 90% with given
    weights: a pretrained network's late layers know many things that a data set has not.
    """

    rule = "DeadRelu"
    collections = ("relu_output",)

    def __init__(self, job: TensorJob, parameters: Mapping[str, Any]) -> None:
        super().__init__(job, parameters)
        least = self.parameters["threshold_layer"] or (90.0 if job.pretrained else 50.0)
        self.parameters["threshold_layer"] = least

    def _look(self, record: TensorRecord) -> Mark | None:
        share = record.inactive_fraction
        if share is None:
            share = 1.0 if (record.zero_fraction or 0.0) >= _SURELY_DEAD else 0.0
        if _GATE in record.name:
            return None
        broken = share * 100 > self.parameters["threshold_layer"]
        message = f"{share:.0%} of the units of {record.name} are dead"
        return self.lasting(record, broken, message)


class SaturatedActivation(TensorWatch):
    """A tanh or sigmoid layer most of whose units are at their limits (``inactive_fraction``)."""

    rule = "SaturatedActivation"
    collections = ("tanh_input", "sigmoid_input")

    def _look(self, record: TensorRecord) -> Mark | None:
        share = record.inactive_fraction
        if share is None:
            return None
        broken = share * 100 > self.parameters["threshold_layer"]
        message = f"{share:.0%} of the units of {record.name} are saturated"
        return self.lasting(record, broken, message)

    def _reason_not_to_apply(self) -> str | None:
        return None if self.datapoints else "the network has no tanh or sigmoid layers"


ACTIVATION_RULES = (
    tensor_rule(
        PoorWeightInitialization,
        description="Checks whether a new network's signal dies out or blows up on its way through "
        "the layers.",
        threshold="The variance of ReLU inputs changes by more than a factor of 10 from layer to "
        "layer, or most gradients are equal, in the first two steps.",
        recommendation="Use Kaiming initialisation (PyTorch's default is fine), normalisation "
        "layers, or pretrained weights.",
        parameters={"threshold": 10.0, "distribution_range": 1e-9, "steps": 2},
    ),
    tensor_rule(
        DeadRelu,
        description="Looks for ReLU layers most of whose units never fire, and so no longer learn.",
        threshold="More than half of a layer's units (90% with pretrained weights) are active for "
        "less than 1% of the inputs, at two samples in a row.",
        recommendation="Lower the learning rate: large updates push units below zero for good. "
        "Look for large negative biases.",
        parameters={"threshold_inactivity": 1.0, "threshold_layer": None, "patience": 2},
    ),
    tensor_rule(
        SaturatedActivation,
        description="Looks for tanh and sigmoid layers whose units are all at their limits, where "
        "they pass no gradient.",
        threshold="More than half of a layer's inputs lie beyond ±9.4999 (tanh) or outside -23 to "
        "16.99999 (sigmoid), at two samples in a row.",
        recommendation="Lower the learning rate or the scale of the initial weights, or normalise "
        "before the activation.",
        parameters={
            "threshold_tanh_min": -9.4999,
            "threshold_tanh_max": 9.4999,
            "threshold_sigmoid_min": -23.0,
            "threshold_sigmoid_max": 16.99999,
            "threshold_inactivity": 1.0,
            "threshold_layer": 50.0,
            "patience": 2,
        },
    ),
)
