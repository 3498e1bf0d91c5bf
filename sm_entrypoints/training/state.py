"""What one training works with, and its results. The loop itself is in ``loop``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn, optim

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.features.backbone import Compute
from sm_entrypoints.images.batches import ImageData, TensorData
from sm_entrypoints.instrumentation.session import Instrumentation
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.job.processes import StopRequest
from sm_entrypoints.rules.online import RuleWatch
from sm_entrypoints.training.checkpoint import Checkpoints, Progress

Stopped = Literal["early_stopping", "sigterm", "diverged", "rule"]


class NothingLearned(JobError):
    """Raised when a training ended before one epoch was complete, for an internal reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A split as the network takes it: samples, and the way from a batch to the device."""

    data: ImageData | TensorData
    prepare: Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """Everything that one training works with.

    ``model`` is delivered; ``network`` is what runs in a step: the model, or only its tail.
    """

    arguments: TrainingArguments
    environment: Environment
    model: nn.Module
    network: nn.Module
    frozen: bool
    class_count: int
    compute: Compute
    optimizer: optim.Optimizer
    loss_function: nn.Module
    train: Feed
    valid: Feed
    instrumentation: Instrumentation
    checkpoints: Checkpoints
    stop: StopRequest
    watch: RuleWatch | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What :func:`fit` did; the model holds the weights of ``progress.best_epoch``.

    With no complete epoch (``best_epoch`` 0) the model is that of the last step. ``failure`` is a
    sentence when there is no model to deliver.
    """

    progress: Progress
    stopped: Stopped | None
    images_per_second: float
    failure: str | None = None


def learning_tensors(model: nn.Module, *, frozen: bool) -> dict[str, Tensor]:
    """Return the tensors that training changes: of a frozen model only those of the head."""
    state = dict(model.state_dict())
    if not frozen:
        return state
    learns = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    return {name: tensor for name, tensor in state.items() if name in learns}


def metrics_row(
    epoch: int,
    split: str,
    means: dict[str, float | None],
    measured: tuple[int, float, float | None],
) -> dict[str, Any]:
    """Return a line of ``metrics.jsonl``; ``measured`` is samples, seconds, learning rate."""
    samples, seconds, rate = measured
    return {
        "epoch": epoch,
        "split": split,
        **means,
        "samples": samples,
        "seconds": seconds,
        "learning_rate": rate,
    }
