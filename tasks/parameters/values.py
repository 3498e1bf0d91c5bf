"""Which values train.py takes: a wrong one is said before a job is paid for, which then fails.

The job checks again, with the same bounds (``sm_entrypoints.contract.arguments``; a test compares
them).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from platforms.errors import ParameterError
from sm_entrypoints import contract
from tasks.parameters.ranges import CategoricalRange, ContinuousRange, SearchRange, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The numbers that a hyperparameter may be; an open end is not among them."""

    low: float
    high: float
    whole: bool = False
    open_low: bool = False
    open_high: bool = False

    def holds(self, number: float) -> bool:
        """Say whether a number lies within the bounds."""
        above = number > self.low if self.open_low else number >= self.low
        below = number < self.high if self.open_high else number <= self.high
        return above and below

    def __str__(self) -> str:
        """Say it as in "must be a whole number >= 1 and <= 128"."""
        kind = "a whole number" if self.whole else "a number"
        low, high = (">" if self.open_low else ">="), ("<" if self.open_high else "<=")
        return f"{kind} {low} {self.low:g} and {high} {self.high:g}"


_CHOICE = ("auto", "true", "false")
WORDS: dict[str, tuple[str, ...]] = {
    "augmentation": ("none", "flip", "standard"),
    "cache_features": _CHOICE,
    "channels_last": _CHOICE,
    "instrumentation": ("auto", "on", "off"),
    "optimizer": ("adam", "adamw", "sgd"),
    "precision": ("auto", "float32", "bfloat16"),
    "schedule": ("constant", "cosine", "onecycle", "step"),
    "trainable": ("auto", "head", "all"),
    "weights": ("auto", "channel", "none"),
}
BOUNDS: dict[str, Bounds] = {
    "backbone_lr": Bounds(low=0, high=100),
    "batch_size": Bounds(low=1, high=65_536, whole=True),
    "epochs": Bounds(low=1, high=100_000, whole=True),
    "eps": Bounds(low=0, high=1, open_low=True),
    "image_size": Bounds(low=16, high=2048, whole=True),
    "keep_checkpoints": Bounds(low=1, high=1000, whole=True),
    "label_smoothing": Bounds(low=0, high=1, open_high=True),
    "lr": Bounds(low=0, high=100, open_low=True),
    "momentum": Bounds(low=0, high=1, open_high=True),
    "num_workers": Bounds(low=-1, high=128, whole=True),
    "patience": Bounds(low=0, high=100_000, whole=True),
    "seed": Bounds(low=0, high=2**31 - 1, whole=True),
    "threads": Bounds(low=0, high=1024, whole=True),
    "warmup_epochs": Bounds(low=0, high=100_000),
    "weight_decay": Bounds(low=0, high=10),
}
# Where all maps have several pixels still: tried with each of torchvision's families.
_LEAST_SIDE = 33
_LEAST_SIDES = {"densenet": 64, "googlenet": 47, "inception": 107, "vgg": 32}
_WITHOUT_BATCH_NORM = ("alexnet", "convnext", "squeezenet", "swin", "vgg", "vit")
# Bounds that the job takes as a word, too: then it chooses.
_NO_NUMBER = {"backbone_lr": ("", "none", "null")}


def require_values(values: Mapping[str, Value]) -> None:
    """Check values of known hyperparameters, those of other names not at all.

    Raises:
        ValueError: names the hyperparameter, its value, and what it may be.
    """
    for name, value in values.items():
        text = str(value).strip().lower()
        if name == "model":
            contract.require_architecture(str(value))
        if name in WORDS and text not in WORDS[name]:
            raise ValueError(
                f"hyperparameter {name}={value!r}: must be one of {', '.join(WORDS[name])}"
            )
        if name in BOUNDS and text not in _NO_NUMBER.get(name, ()):
            _require_number(name, value, BOUNDS[name])


def require_ranges(ranges: Mapping[str, SearchRange]) -> None:
    """Check that every value that a search may draw is one that the job takes.

    Raises:
        ValueError: names the hyperparameter, the first wrong value, and what it may be.
    """
    for name, span in ranges.items():
        drawn = span.values if isinstance(span, CategoricalRange) else [span.min, span.max]
        for value in drawn:
            require_values({name: value})
        if isinstance(span, ContinuousRange) and name in BOUNDS and BOUNDS[name].whole:
            raise ValueError(
                f"hyperparameter {name} is a whole number: give a range of integers, "
                f"not {span.min}:{span.max}"
            )


def require_batches(values: Mapping[str, Value], searched: Mapping[str, SearchRange]) -> None:
    """Check that a network can learn from the smallest batches that it may be given.

    Batch normalisation cannot learn from a batch of one image whose last maps have one pixel. The
    job checks it for any network and any batch; this says it before anything runs.

    Args:
        values: what all jobs get.
        searched: what a search draws.

    Raises:
        ParameterError: it cannot; says what to do.
    """
    span = searched.get("batch_size")
    drawn = span.values if isinstance(span, CategoricalRange) else [span.min] if span else []
    sizes = [_number(size) for size in (drawn or [values.get("batch_size", 0)])]
    model, side = str(values.get("model", "")), _number(values.get("image_size", math.inf))
    least = _least_side(model)
    if 1 in sizes and values.get("trainable") == "all" and side < least:
        raise ParameterError(
            f"batch_size=1 cannot train all of {model} at image_size={side:g}: its batch "
            "normalisation would see one value per channel. Give batch_size=2 or more, "
            f"image_size={least} or more, or trainable=head"
        )


def _number(value: Value) -> float:
    """Return a value as a number; NaN for a plan's placeholder ("best trial's batch_size")."""
    try:
        return float(value)
    except ValueError:
        return math.nan


def _least_side(model: str) -> int:
    """Return the least image size at which a batch of one image can train a network, in pixels."""
    known = [side for name, side in _LEAST_SIDES.items() if model.startswith(name)]
    if model.startswith(_WITHOUT_BATCH_NORM) and not model.endswith("_bn"):
        return 0
    return known[0] if known else _LEAST_SIDE


def _require_number(name: str, value: Value, bounds: Bounds) -> None:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except ValueError:
        number = math.nan
    if not bounds.holds(number) or (bounds.whole and not number.is_integer()):
        raise ValueError(f"hyperparameter {name}={value!r}: must be {bounds}")
