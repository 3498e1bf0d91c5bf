"""What one training works with, and its results. The loop itself is in ``loop``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor, nn, optim

from sm_entrypoints.contract import TRAIN_CHANNEL, VALID_CHANNEL
from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.features.backbone import Compute
from sm_entrypoints.images.batches import ImageData, TensorData
from sm_entrypoints.instrumentation.session import Instrumentation
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.job.processes import StopRequest
from sm_entrypoints.rules.online import RuleWatch
from sm_entrypoints.training.checkpoint import Checkpoints, Progress
from sm_entrypoints.training.evaluation import Scores

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

    ``model`` is delivered; ``network`` is what runs in a step: the model, or only its tail. With
    ``keeps_features`` the model runs whole in the first epoch, and its tail alone afterwards. What
    the tail learns from are the features of that epoch, or ``later_feeds`` if they have more: the
    feeds of training and validation, None if they do not fit into memory. ``pretrained``: the
    model began with given weights.
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
    keeps_features: bool = False
    pretrained: bool = False
    later_feeds: Callable[[], tuple[Feed, Feed] | None] | None = None

    @property
    def num_workers(self) -> int:
        """The loader processes to use: none for rows that are in memory, whoever asked."""
        return 0 if isinstance(self.train.data, TensorData) else self.arguments.num_workers

    @property
    def features(self) -> dict[str, Tensor]:
        """The features that it reads, by split; empty while it reads images."""
        feeds = {TRAIN_CHANNEL: self.train, VALID_CHANNEL: self.valid}
        return {
            split: feed.data.inputs
            for split, feed in feeds.items()
            if isinstance(feed.data, TensorData)
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What :func:`fit` did; the model holds the weights of ``progress.best_epoch``.

    With no complete epoch (``best_epoch`` 0) the model is that of the last step. ``failure`` is a
    sentence when there is no model to deliver. ``images_per_second`` counts training images over
    the time of the training epochs; ``by_network`` tells the same of the epochs that ran the whole
    network (``contract.WHOLE_NETWORK``) and of those that learned from features (``TAIL_ALONE``).
    ``features_from`` is the first epoch that learned from features, and ``features`` are those, by
    split and in its order; those of its only epoch if there was but one, empty if it learned from
    pictures to the end. ``validated`` are the scores of ``best_epoch``, None where a job before
    this one had them.
    """

    progress: Progress
    stopped: Stopped | None
    images_per_second: float
    by_network: dict[str, float]
    features_from: int | None
    features: Mapping[str, Tensor] = field(default_factory=dict)
    validated: Scores | None = None
    failure: str | None = None


class Pace:
    """How many training images were learned from in how many seconds, by what ran in a step."""

    def __init__(self) -> None:
        self._images: dict[str, float] = {}
        self._seconds: dict[str, float] = {}

    def add(self, network: str, images: float, seconds: float) -> None:
        """Count images of an epoch in which ``network`` ran."""
        self._images[network] = self._images.get(network, 0.0) + images
        self._seconds[network] = self._seconds.get(network, 0.0) + seconds

    @property
    def images_per_second(self) -> float:
        """Over all epochs; 0 before the first."""
        seconds = sum(self._seconds.values())
        return sum(self._images.values()) / seconds if seconds else 0.0

    @property
    def by_network(self) -> dict[str, float]:
        """Images per second by what ran, as far as it ran."""
        return {
            name: images / self._seconds[name]
            for name, images in self._images.items()
            if self._seconds[name]
        }


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
