"""Rules about the loss: it does not fall, falls only for training images, or stops falling."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sm_entrypoints.contract.tensor_records import TensorRecord
from sm_entrypoints.rules.result import Mark, RuleResult
from sm_entrypoints.rules.tensor.epoch_losses import EpochLosses, EpochMeans
from sm_entrypoints.rules.tensor.job import TensorJob
from sm_entrypoints.rules.tensor.watch import TensorWatch, tensor_rule

# With an unknown number of classes: that of ImageNet.
_MANY_CLASSES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """Mean loss of some steps in a row, and the standard error of that mean."""

    mean: float
    error: float


class LossNotDecreasing(TensorWatch):
    """The loss stays where it began, rises, or is worse than that of guessing.

    AWS compares single steps ``num_steps`` apart, which flags every noisy or converged training.
    Here windows of ``num_steps`` are compared by their means: whole epochs where there are two
    or more (the same images in each), else quarters of the job. A window breaks the rule when it

    * fell by less than ``diff_percent`` against the one before, and by less than
      ``learnt_percent`` against the first (a training that has converged did fall before), and
      is above half the loss of guessing (a model that was good from the start need not fall), or
    * rose by more than ``increase_threshold_percent`` over the first, beyond three standard
      errors, or
    * has a mean of more than twice the first step's loss and twice ln(classes).
    """

    rule = "LossNotDecreasing"
    collections = ("losses",)

    def __init__(self, job: TensorJob, parameters: Mapping[str, Any]) -> None:
        super().__init__(job, parameters)
        self.parameters["num_steps"] = self.parameters["num_steps"] or _window_steps(job)
        self._losses: list[float] = []
        self._start = math.nan
        self._windows: list[_Window] = []

    def _look(self, record: TensorRecord) -> Mark | None:
        if record.mode != "TRAIN" or record.mean is None:
            return None
        if math.isnan(self._start):
            self._start = record.mean
        self._losses.append(record.mean)
        if len(self._losses) < self.parameters["num_steps"]:
            return None
        losses, self._losses = np.array(self._losses), []
        with np.errstate(over="ignore", invalid="ignore"):
            error = float(losses.std() / math.sqrt(len(losses)))
        self._windows.append(_Window(mean=float(losses.mean()), error=error))
        complaint = self._complaint()
        if complaint is None:
            return None
        self.violations += 1
        return self.trigger(record, complaint)

    def _reason_not_to_apply(self) -> str | None:
        if self._windows:
            return None
        return f"fewer than {self.parameters['num_steps']} training steps were recorded"

    def details(self) -> dict[str, Any]:
        """Return the mean loss of the first and of the last window."""
        return {"first": self._windows[0].mean, "last": self._windows[-1].mean}

    def _complaint(self) -> str | None:
        now, steps = self._windows[-1], self.parameters["num_steps"]
        guessing = math.log(self.job.classes or _MANY_CLASSES)
        if now.mean > 2 * max(self._start, guessing):
            return f"the loss is {now.mean:.3g}, worse than guessing ({guessing:.2f})"
        if len(self._windows) < 2:
            return None
        first, before = self._windows[0], self._windows[-2]
        rise = now.mean - first.mean
        noise = 3 * math.hypot(now.error, first.error)
        if rise > max(noise, first.mean * self.parameters["increase_threshold_percent"] / 100):
            return f"the loss rose from {first.mean:.3g} to {now.mean:.3g}"
        flat = before.mean - now.mean < before.mean * self.parameters["diff_percent"] / 100
        still = -rise < first.mean * self.parameters["learnt_percent"] / 100
        if flat and still and now.mean > math.log(self.job.classes or 2) / 2:
            return f"the loss is {now.mean:.4g} after {before.mean:.4g} {steps} steps before"
        return None


def _window_steps(job: TensorJob) -> int:
    """Return the steps of a window: whole epochs of at least ten steps, three windows or more."""
    if job.epochs >= 2 and job.steps_per_epoch:
        most = max(1, job.epochs // 3)
        return job.steps_per_epoch * min(most, math.ceil(10 / job.steps_per_epoch))
    return max(3, job.steps // 4) if job.steps else 10


class _EpochWatch(TensorWatch):
    """A rule about epochs that are complete, each with its training and its validation loss."""

    collections = ("losses",)

    def __init__(self, job: TensorJob, parameters: Mapping[str, Any]) -> None:
        super().__init__(job, parameters)
        self._epochs = EpochLosses()
        self._last: EpochMeans | None = None

    def _look(self, record: TensorRecord) -> Mark | None:
        return self._take(self._epochs.add(record))

    def result(self) -> RuleResult:
        """Return the finding; the last epoch is complete when this is called."""
        self._take(self._epochs.finish())
        return super().result()

    def _take(self, epoch: EpochMeans | None) -> Mark | None:
        self._last = epoch or self._last
        return None if epoch is None else self._judge(epoch)

    @abstractmethod
    def _judge(self, epoch: EpochMeans) -> Mark | None:
        """Look at the next epoch; return where the rule triggered, if it did."""

    def _reason_not_to_apply(self) -> str | None:
        return None if self._last else "no epoch had both training and validation losses"


class Overfit(_EpochWatch):
    """The validation loss rises while the training loss stays below it.

    AWS flags a gap of ``ratio_threshold`` alone; at the end of nearly every good training there
    is one. So the mean validation loss of an epoch must also lie ``rise_threshold`` above the
    best so far, for ``patience`` epochs in a row: 2 in a short training, a tenth of the epochs in
    a longer one, at most 5.
    """

    rule = "Overfit"

    def __init__(self, job: TensorJob, parameters: Mapping[str, Any]) -> None:
        super().__init__(job, parameters)
        self.parameters["patience"] = self.parameters["patience"] or _bounded(job.epochs, 10, 2, 5)
        self._best = math.inf
        self._length = 0

    def details(self) -> dict[str, Any]:
        """Return the losses of the last epoch and the best validation loss."""
        last = self._last
        if last is None:
            return {}
        return {"train": last.train, "valid": last.valid, "best_valid": self._best}

    def _judge(self, epoch: EpochMeans) -> Mark | None:
        gap = epoch.valid - epoch.train > self.parameters["ratio_threshold"] * epoch.train
        risen = epoch.valid > (1 + self.parameters["rise_threshold"]) * self._best
        self._best = min(self._best, epoch.valid)
        self._length = self._length + 1 if gap and risen else 0
        self.violations += gap and risen
        if self._length < self.parameters["patience"]:
            return None
        message = (
            f"validation loss {epoch.valid:.3g} (best {self._best:.3g}) against training loss "
            f"{epoch.train:.3g} in epoch {epoch.record.epoch}"
        )
        return self.trigger(epoch.record, message)


class Overtraining(_EpochWatch):
    """The validation loss has found no better value for ``patience_validation`` epochs.

    Better means lower by ``delta`` of itself. The patience is 40% of the epochs, at least 4 and at
    most AWS's 10. Whether the training loss still falls (``patience_train`` epochs, half of the
    other) distinguishes over-fitting from convergence; it is reported, but does not decide.
    """

    rule = "Overtraining"

    def __init__(self, job: TensorJob, parameters: Mapping[str, Any]) -> None:
        super().__init__(job, parameters)
        patience = self.parameters["patience_validation"] or _bounded(job.epochs, 2.5, 4, 10)
        self.parameters["patience_validation"] = patience
        self.parameters["patience_train"] = self.parameters["patience_train"] or patience // 2
        self._train = _Optimum(self.parameters["delta"])
        self._valid = _Optimum(self.parameters["delta"])

    def details(self) -> dict[str, Any]:
        """Return the epoch of the last optimum and its validation loss."""
        return {"best_epoch": self._valid.epoch, "best_valid": self._valid.value}

    def _judge(self, epoch: EpochMeans) -> Mark | None:
        number = epoch.record.epoch
        self._train.add(number, epoch.train)
        self._valid.add(number, epoch.valid)
        if number - self._valid.epoch < self.parameters["patience_validation"]:
            return None
        self.violations += 1
        learns = number - self._train.epoch < self.parameters["patience_train"]
        message = (
            f"validation loss no better since epoch {self._valid.epoch} "
            f"({self._valid.value:.3g}, now {epoch.valid:.3g}); the training loss "
            f"{'still falls' if learns else 'does not fall either'}"
        )
        return self.trigger(epoch.record, message)


class _Optimum:
    """The lowest value so far that was lower by ``delta`` than the one before."""

    def __init__(self, delta: float) -> None:
        self._delta = delta
        self.epoch = 0
        self.value = math.inf

    def add(self, epoch: int, value: float) -> None:
        """Take the value of an epoch."""
        if value < self.value * (1 - self._delta):
            self.epoch, self.value = epoch, value


def _bounded(epochs: int, divisor: float, least: int, most: int) -> int:
    return max(least, min(most, round(epochs / divisor)))


LOSS_RULES = (
    tensor_rule(
        LossNotDecreasing,
        description="Checks whether the training loss falls at all.",
        threshold="The training loss falls by less than 0.1% from one epoch to the next while it "
        "has fallen by less than 2% in total, or it is more than 5% above that of the "
        "first epoch, or twice that of guessing.",
        recommendation="Flat: raise the learning rate, and check frozen layers and labels. Rising: "
        "lower the learning rate.",
        parameters={
            "num_steps": None,
            "diff_percent": 0.1,
            "increase_threshold_percent": 5.0,
            "learnt_percent": 2.0,
            "mode": "TRAIN",
        },
    ),
    tensor_rule(
        Overfit,
        description="Looks for a validation loss that rises while the training loss is lower: the "
        "network memorises the training images.",
        threshold="The validation loss is 10% above the training loss and 10% above its own "
        "best, two epochs in a row (more in long trainings).",
        recommendation="Fewer epochs or patience=2, augmentation=standard, a higher weight_decay, "
        "trainable=head; more images help most.",
        parameters={"patience": None, "ratio_threshold": 0.1, "rise_threshold": 0.1},
    ),
    tensor_rule(
        Overtraining,
        description="Looks for epochs that did not improve the model.",
        threshold="The validation loss does not improve by 1% for 40% of the epochs (at least "
        "4, at most 10).",
        recommendation="Set epochs to the best one, or patience, so that the training ends by "
        "itself; the delivered model is always that of the best epoch.",
        parameters={"patience_train": None, "patience_validation": None, "delta": 0.01},
    ),
)
