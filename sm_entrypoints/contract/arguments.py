"""The hyperparameters of training: names, types, bounds and, only here, their defaults.

SageMaker passes every hyperparameter as ``--name value``; flags without a value do not exist.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import Field, dataclass, field, fields
from functools import cache
from typing import Any, Literal, get_args, get_type_hints

from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.contract.rule_actions import parse_actions
from sm_entrypoints.contract.sentences import did_you_mean, nearest

Weights = Literal["auto", "channel", "none"]
Trainable = Literal["auto", "head", "all"]
OptimizerName = Literal["adam", "adamw", "sgd"]
Augmentation = Literal["none", "flip", "standard"]
Schedule = Literal["constant", "cosine", "onecycle", "step"]
Precision = Literal["auto", "float32", "bfloat16"]
Choice = Literal["auto", "true", "false"]
Instrumented = Literal["auto", "on", "off"]


class HyperparameterError(JobError):
    """Raised when a hyperparameter is unknown, malformed or out of bounds."""


def _bounded(
    default: Any, low: float, high: float, *, open_low: bool = False, open_high: bool = False
) -> Any:
    """Return a numeric field that must lie between ``low`` and ``high``."""
    bounds = {"low": low, "high": high, "open_low": open_low, "open_high": open_high}
    return field(default=default, metadata=bounds)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingArguments:
    """What one training job does; every field is a hyperparameter of the same name.

    ``weights``: ``auto`` uses the weights channel when there is one, ``channel`` insists on it.
    ``trainable``: ``auto`` trains only the head when there are pretrained weights, else all.
    ``backbone_lr``: None is a tenth of ``lr`` with pretrained weights, else ``lr``.
    ``eps`` goes to Adam and AdamW, ``momentum`` to SGD. ``batch_size`` is per process.
    ``warmup_epochs`` raise the rate linearly from zero. ``patience`` epochs without a better
    validation loss end the training; 0 is never. ``num_workers`` -1 and ``threads`` 0 are chosen.
    ``keep_checkpoints`` is how many of the newest stay in the checkpoint folder. ``rules`` says
    what rules do when they trigger (``ExplodingTensor=stop,Overtraining=off``; else they warn).
    """

    model: str = "resnet18"
    weights: Weights = "auto"
    trainable: Trainable = "auto"
    lr: float = _bounded(1e-3, 0, 100, open_low=True)
    backbone_lr: float | None = _bounded(None, 0, 100)
    optimizer: OptimizerName = "adamw"
    momentum: float = _bounded(0.9, 0, 1, open_high=True)
    batch_size: int = _bounded(32, 1, 65_536)
    epochs: int = _bounded(5, 1, 100_000)
    eps: float = _bounded(1e-8, 0, 1, open_low=True)
    weight_decay: float = _bounded(0.01, 0, 10)
    label_smoothing: float = _bounded(0.0, 0, 1, open_high=True)
    augmentation: Augmentation = "none"
    schedule: Schedule = "cosine"
    warmup_epochs: float = _bounded(0.0, 0, 100_000)
    patience: int = _bounded(0, 0, 100_000)
    seed: int = _bounded(0, 0, 2**31 - 1)
    image_size: int = _bounded(224, 16, 2048)
    num_workers: int = _bounded(-1, -1, 128)
    precision: Precision = "auto"
    channels_last: Choice = "auto"
    cache_features: Choice = "auto"
    instrumentation: Instrumented = "auto"
    rules: str = ""
    threads: int = _bounded(0, 0, 1024)
    keep_checkpoints: int = _bounded(1, 1, 1000)

    def __post_init__(self) -> None:
        """Check bounds, so that no instance out of them exists.

        Raises:
            HyperparameterError: names the hyperparameter, its value and the bounds.
        """
        for hyperparameter in fields(self):
            _check(hyperparameter, getattr(self, hyperparameter.name))
        try:
            parse_actions(self.rules)
        except ValueError as error:
            raise HyperparameterError(f"hyperparameter rules={self.rules!r}: {error}") from None
        if self.cache_features == "true" and self.augmentation != "none":
            raise HyperparameterError(
                f"cache_features=true needs augmentation=none, but got {self.augmentation!r}: a "
                "cached image cannot change; choose one"
            )
        if self.cache_features == "true" and self.trainable == "all":
            raise HyperparameterError(
                "cache_features=true needs trainable=head: the features of a backbone that learns "
                "change with every step"
            )


def parse_arguments(argv: Sequence[str]) -> TrainingArguments:
    """Read ``--name value`` and ``--name=value``; dashes and underscores mean the same.

    Raises:
        HyperparameterError: unknown, given twice, without a value, malformed or out of bounds.
    """
    types = _types()
    values: dict[str, Any] = {}
    for key, text in _pairs(argv):
        name = key.replace("-", "_")
        if name not in types:
            raise HyperparameterError(_unknown(key, sorted(types)))
        if name in values:
            raise HyperparameterError(f"hyperparameter {name!r} is given twice")
        values[name] = _value(name, types[name], text)
    return TrainingArguments(**values)


@cache
def _types() -> dict[str, Any]:
    # Kept: reading annotations takes longer than all the rest.
    return get_type_hints(TrainingArguments)


def parse_bool(text: str) -> bool:
    """Return the meaning of ``true`` or ``false`` in any case.

    Raises:
        ValueError: any other text.
    """
    try:
        return {"true": True, "false": False}[text.strip().lower()]
    except KeyError:
        raise ValueError(f"{text!r} is neither true nor false") from None


def _pairs(argv: Sequence[str]) -> list[tuple[str, str]]:
    pairs, rest = [], list(argv)
    while rest:
        option = rest.pop(0)
        if not option.startswith("-"):
            raise HyperparameterError(f"expected --name value, but got {option!r}")
        key, equals, text = option.lstrip("-").partition("=")
        if not equals:
            if not rest:
                raise HyperparameterError(f"hyperparameter {key!r} has no value")
            text = rest.pop(0)
        # A client that stringifies twice sends '"adam"'.
        pairs.append((key, text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text))
    return pairs


def _unknown(key: str, known: list[str]) -> str:
    meant = did_you_mean(nearest(key.replace("-", "_"), known))
    hint = f" ({meant})" if meant else ""
    return f"unknown hyperparameter {key!r}{hint}; known are {', '.join(known)}"


def _value(name: str, wanted: Any, text: str) -> Any:
    if wanted is str:
        return text
    try:
        if wanted is int:
            return _whole(text)
        if wanted is float:
            return float(text)
        if wanted == (float | None):
            return None if text.strip().lower() in ("", "none", "null") else float(text)
        if wanted is Choice and text.strip().lower() in ("true", "false"):
            return "true" if parse_bool(text) else "false"
        return text.strip().lower()
    except ValueError:
        kind = "a whole number" if wanted is int else "a number"
        raise HyperparameterError(f"hyperparameter {name}={text!r} is not {kind}") from None


def _whole(text: str) -> int:
    """Return a whole number; a tuner may write 32 as ``32.0``."""
    number = float(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)


def _check(hyperparameter: Field[Any], value: Any) -> None:
    name, bounds = hyperparameter.name, hyperparameter.metadata
    choices = get_args(_types()[name])
    if choices and isinstance(value, str) and value not in choices:
        raise HyperparameterError(
            f"hyperparameter {name}={value!r} must be one of {', '.join(map(str, choices))}"
        )
    if not bounds or value is None:
        return
    low, high = bounds["low"], bounds["high"]
    below = value <= low if bounds["open_low"] else value < low
    above = value >= high if bounds["open_high"] else value > high
    if below or above or not math.isfinite(value):
        wanted = f"{'>' if bounds['open_low'] else '>='} {low} and "
        wanted += f"{'<' if bounds['open_high'] else '<='} {high}"
        raise HyperparameterError(f"hyperparameter {name}={value!r} must be {wanted}")
