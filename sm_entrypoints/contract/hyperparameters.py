"""The hyperparameters of training: one row each, the only place of their bounds and defaults.

The job's parser, the Prefect forms, the command line, comparisons, checkpoints and
docs/hyperparameters.md read these rows. Not for the values of one job: those are the fields of
``arguments.TrainingArguments``. Standard library only, and imported in milliseconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple, get_args

from sm_entrypoints.contract.sentences import did_you_mean, nearest

Weights = Literal["auto", "channel", "none"]
Trainable = Literal["auto", "head", "all"]
Optimizer = Literal["adam", "adamw", "sgd"]
Augmentation = Literal["none", "flip", "standard"]
Schedule = Literal["constant", "cosine", "onecycle", "step"]
Precision = Literal["auto", "float32", "bfloat16"]
Choice = Literal["auto", "true", "false"]
Instrumented = Literal["auto", "on", "off"]


class Bounds(NamedTuple):
    """The numbers that a hyperparameter may be; an open end is not among them."""

    low: float
    high: float
    open_low: bool = False
    open_high: bool = False

    def holds(self, number: float) -> bool:
        """Say whether a number lies within the bounds."""
        above = number > self.low if self.open_low else number >= self.low
        below = number < self.high if self.open_high else number <= self.high
        return above and below

    def __str__(self) -> str:
        """Return them as in ``> 0 and <= 100``."""
        low, high = (">" if self.open_low else ">="), ("<" if self.open_high else "<=")
        return f"{low} {self.low} and {high} {self.high}"


class Hyperparameter(NamedTuple):
    """What is known of a hyperparameter of ``train.py``.

    ``domain`` is the words or the bounds of its values; None is any text. ``judged_by`` is what a
    comparison measures of a change; None is not compared. ``same_numbers``: a change gives the
    same model, only sooner or later. ``makes_data``: a change gives the network other inputs.
    ``identifies``: a checkpoint only continues a training that has the same value. ``optional``:
    the word none is a value too.
    """

    name: str
    kind: type[int] | type[float] | type[str]
    default: int | float | str | None
    domain: tuple[str, ...] | Bounds | None
    judged_by: Literal["time", "loss"] | None
    help: str
    same_numbers: bool = False
    makes_data: bool = False
    identifies: bool = False
    optional: bool = False

    @property
    def allowed(self) -> str:
        """What a value may be: ``one of adam, adamw, sgd``, ``a whole number >= 1 and <= 128``."""
        if isinstance(self.domain, Bounds):
            return f"{'a whole number' if self.kind is int else 'a number'} {self.domain}"
        return f"one of {', '.join(self.domain)}" if self.domain else "text"

    def read(self, value: object) -> int | float | str | None:
        """Return what a value, or its text on the wire, means: ``"4.0"`` epochs are 4.

        Raises:
            ValueError: it is not allowed; names the hyperparameter, the value, what is allowed.
        """
        if self.domain is None:
            return str(value)
        text = str(value).strip().lower()
        if self.optional and text in ("", "none", "null"):
            return None
        if not isinstance(self.domain, Bounds):
            if text in self.domain:
                return text
        elif self.domain.holds(number := _number(text)):
            if self.kind is float:
                return number
            if number.is_integer():  # a tuner may write 32 as 32.0
                return int(number)
        raise ValueError(f"hyperparameter {self.name}={value!r}: must be {self.allowed}")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def hyperparameter(name: str) -> Hyperparameter:
    """Return the row of a hyperparameter.

    Raises:
        ValueError: ``train.py`` has none of that name; says which is the nearest.
    """
    if name in HYPERPARAMETERS:
        return HYPERPARAMETERS[name]
    hint = did_you_mean(nearest(name, HYPERPARAMETERS))
    known = f"{hint} Known" if hint else "known"
    raise ValueError(f"unknown hyperparameter {name!r}: {known}: {', '.join(HYPERPARAMETERS)}")


# fmt: off
_ROWS = (
    Hyperparameter(
        "augmentation", str, "none", get_args(Augmentation), "loss", makes_data=True,
        help="Random changes of the training images: flips, or crops and flips (standard)."),
    Hyperparameter(
        "backbone_lr", float, None, Bounds(0, 100), "loss", optional=True,
        help="Learning rate of all but the head; none: lr / 10 with given weights, else lr."),
    Hyperparameter(
        "batch_size", int, 32, Bounds(1, 65_536), "time",
        help="Images per step, in each process."),
    Hyperparameter(
        "cache_features", str, "auto", get_args(Choice), "time", same_numbers=True, makes_data=True,
        help="Whether features of a frozen backbone are computed once and kept in memory; "
             "auto: if they fit, while an observed network runs whole in its first epoch. true "
             "needs augmentation=none, or views."),
    Hyperparameter(
        "channels_last", str, "auto", get_args(Choice), "time", makes_data=True,
        help="Whether a pixel's channels are neighbours in memory, which is faster; auto: true."),
    Hyperparameter(
        "epochs", int, 5, Bounds(1, 100_000), "loss",
        help="Passes over the training images."),
    Hyperparameter(
        "eps", float, 1e-8, Bounds(0, 1, open_low=True), "loss",
        help="For adam and adamw: added to what they divide by."),
    Hyperparameter(
        "image_size", int, 224, Bounds(16, 2048), "time", makes_data=True, identifies=True,
        help="Side of the square input, in pixels."),
    Hyperparameter(
        "instrumentation", str, "auto", get_args(Instrumented), None, makes_data=True,
        help="Whether tensors and the machine are watched; auto: when the request asks for it."),
    Hyperparameter(
        "keep_checkpoints", int, 1, Bounds(1, 1000), None,
        help="How many of the newest checkpoints stay in the checkpoint folder."),
    Hyperparameter(
        "label_smoothing", float, 0.0, Bounds(0, 1, open_high=True), "loss",
        help="Share of the target probability that is spread over all classes."),
    Hyperparameter(
        "lr", float, 1e-3, Bounds(0, 100, open_low=True), "loss",
        help="Highest learning rate of the head."),
    Hyperparameter(
        "model", str, "resnet18", None, "loss", makes_data=True, identifies=True,
        help="Any of torchvision's classifiers."),
    Hyperparameter(
        "momentum", float, 0.9, Bounds(0, 1, open_high=True), "loss",
        help="For sgd."),
    Hyperparameter(
        "num_workers", int, -1, Bounds(-1, 128), "time", same_numbers=True,
        help="Processes that load images; 0: the training itself does, -1: as many as pay."),
    Hyperparameter(
        "optimizer", str, "adamw", get_args(Optimizer), "loss", identifies=True,
        help="What turns gradients into steps."),
    Hyperparameter(
        "patience", int, 0, Bounds(0, 100_000), "time",
        help="Epochs without a better validation loss that end the training; 0: never."),
    Hyperparameter(
        "precision", str, "auto", get_args(Precision), "time", makes_data=True,
        help="What the network computes in; auto: bfloat16 if all layers learn and it is fast."),
    Hyperparameter(
        "rules", str, "", None, None,
        help="What rules do when they trigger: ExplodingTensor=stop,Overtraining=off; else warn."),
    Hyperparameter(
        "schedule", str, "cosine", get_args(Schedule), "loss",
        help="How the learning rate changes in the course of the training."),
    Hyperparameter(
        "seed", int, 0, Bounds(0, 2**31 - 1), None,
        help="Seed of the order of images, their random changes, and weights that are new."),
    Hyperparameter(
        "threads", int, 0, Bounds(0, 1024), "time", same_numbers=True,
        help="Threads that compute, in each process; 0: PyTorch decides."),
    Hyperparameter(
        "trainable", str, "auto", get_args(Trainable), "loss", makes_data=True,
        help="What learns; auto: the head alone when there are given weights, else all."),
    Hyperparameter(
        "views", int, 0, Bounds(0, 64), "loss", makes_data=True,
        help="Random versions of each training image that are made once, so that features of them "
             "can be kept; an epoch shows the image or one of them. 0: a new version in each "
             "epoch. flip has one."),
    Hyperparameter(
        "warmup_epochs", float, 0.0, Bounds(0, 100_000), "loss",
        help="Epochs in which the learning rate rises from zero."),
    Hyperparameter(
        "weight_decay", float, 0.01, Bounds(0, 10), "loss",
        help="How strongly weights are pulled towards zero."),
    Hyperparameter(
        "weights", str, "auto", get_args(Weights), "loss", makes_data=True,
        help="What to start from: the weights channel, which channel insists on; auto: if given."),
)
# fmt: on
# By name, in alphabetical order.
HYPERPARAMETERS: Mapping[str, Hyperparameter] = {row.name: row for row in _ROWS}
