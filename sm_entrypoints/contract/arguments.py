"""The typed hyperparameters of one training job, and the command line they are read from.

SageMaker passes every hyperparameter as ``--name value``; flags without a value do not exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.contract.hyperparameters import (
    HYPERPARAMETERS,
    Augmentation,
    Choice,
    Instrumented,
    Optimizer,
    Precision,
    Schedule,
    Trainable,
    Weights,
    hyperparameter,
)
from sm_entrypoints.contract.rule_actions import parse_actions


class HyperparameterError(JobError):
    """Raised when a hyperparameter is unknown, malformed or out of bounds."""


_DEFAULT: Mapping[str, Any] = {name: row.default for name, row in HYPERPARAMETERS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingArguments:
    """What one training job does; every field is the hyperparameter of the same name.

    Bounds, defaults and what each is for: ``hyperparameters``. Texts of the wire become values.
    """

    model: str = _DEFAULT["model"]
    weights: Weights = _DEFAULT["weights"]
    trainable: Trainable = _DEFAULT["trainable"]
    lr: float = _DEFAULT["lr"]
    backbone_lr: float | None = _DEFAULT["backbone_lr"]
    optimizer: Optimizer = _DEFAULT["optimizer"]
    momentum: float = _DEFAULT["momentum"]
    batch_size: int = _DEFAULT["batch_size"]
    epochs: int = _DEFAULT["epochs"]
    eps: float = _DEFAULT["eps"]
    weight_decay: float = _DEFAULT["weight_decay"]
    label_smoothing: float = _DEFAULT["label_smoothing"]
    augmentation: Augmentation = _DEFAULT["augmentation"]
    views: int = _DEFAULT["views"]
    schedule: Schedule = _DEFAULT["schedule"]
    warmup_epochs: float = _DEFAULT["warmup_epochs"]
    patience: int = _DEFAULT["patience"]
    seed: int = _DEFAULT["seed"]
    image_size: int = _DEFAULT["image_size"]
    num_workers: int = _DEFAULT["num_workers"]
    precision: Precision = _DEFAULT["precision"]
    channels_last: Choice = _DEFAULT["channels_last"]
    cache_features: Choice = _DEFAULT["cache_features"]
    instrumentation: Instrumented = _DEFAULT["instrumentation"]
    rules: str = _DEFAULT["rules"]
    threads: int = _DEFAULT["threads"]
    keep_checkpoints: int = _DEFAULT["keep_checkpoints"]

    def __post_init__(self) -> None:
        """Type and check every value, so that no instance with a wrong one exists.

        Raises:
            HyperparameterError: names the hyperparameter, its value and what is allowed.
        """
        for row in HYPERPARAMETERS.values():
            try:
                object.__setattr__(self, row.name, row.read(getattr(self, row.name)))
            except ValueError as error:
                raise HyperparameterError(str(error)) from None
        try:
            parse_actions(self.rules)
        except ValueError as error:
            raise HyperparameterError(f"hyperparameter rules={self.rules!r}: {error}") from None
        if self.views and self.augmentation == "none":
            raise HyperparameterError(
                f"views={self.views} needs augmentation=flip or standard: without, all views of "
                "an image are the same"
            )
        if self.cache_features == "true" and not self.repeats_images:
            raise HyperparameterError(
                f"cache_features=true needs augmentation=none or views, but got "
                f"{self.augmentation!r} without views: a cached image cannot change; choose one"
            )
        if self.cache_features == "true" and self.trainable == "all":
            raise HyperparameterError(
                "cache_features=true needs trainable=head: the features of a trainable backbone "
                "change with every step"
            )

    @property
    def repeats_images(self) -> bool:
        """Whether an epoch shows nothing that other epochs do not show: features can be kept."""
        return self.augmentation == "none" or self.views > 0


def parse_arguments(argv: Sequence[str]) -> TrainingArguments:
    """Read ``--name value`` and ``--name=value``; dashes and underscores mean the same.

    Raises:
        HyperparameterError: unknown, given twice, without a value, malformed or out of bounds.
    """
    texts: dict[str, Any] = {}
    for key, text in _pairs(argv):
        try:
            name = hyperparameter(key.replace("-", "_")).name
        except ValueError as error:
            raise HyperparameterError(str(error)) from None
        if name in texts:
            raise HyperparameterError(f"hyperparameter {name!r} is given twice")
        texts[name] = text
    return TrainingArguments(**texts)


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
