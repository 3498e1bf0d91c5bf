"""What a training reads: images, or features of a frozen backbone, kept in memory if they fit.

A feed belongs to a model: it knows how to move a batch to that model's device.
"""

from __future__ import annotations

import copy
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch import Tensor

from sm_entrypoints.contract import FEATURES_CHANNEL
from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.contract.hyperparameters import HYPERPARAMETERS
from sm_entrypoints.features.backbone import Built, Compute, feature_shape
from sm_entrypoints.features.compute import rows_of
from sm_entrypoints.features.features import (
    FeatureFolders,
    Features,
    FeatureUse,
    features_of,
)
from sm_entrypoints.features.keep import readable, silent
from sm_entrypoints.images.batches import ImageData, TensorData
from sm_entrypoints.images.channels import Split, Splits
from sm_entrypoints.images.views import Views
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.models.model import ModelCard
from sm_entrypoints.training.state import Feed

# Decoded images or features are kept in memory up to this, or a quarter of what is available.
_MEMORY_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeds:
    """The feeds of training and validation.

    ``features`` is set when they hold features: where those are from.
    """

    train: Feed
    valid: Feed
    features: FeatureUse | None = None

    @property
    def cached(self) -> bool:
        """Whether the feeds hold features."""
        return self.features is not None


def same_data(one: TrainingArguments, other: TrainingArguments) -> bool:
    """Say whether two trainings on the same splits read the same images or features.

    The seed may differ: it chooses the order, the random crops, and where weights start; with a
    frozen random backbone other features, of the same kind, are then learned from.
    """
    data = [row.name for row in HYPERPARAMETERS.values() if row.makes_data]
    return all(getattr(one, name) == getattr(other, name) for name in data)


def make_feeds(
    arguments: TrainingArguments,
    environment: Environment,
    splits: Splits,
    built: Built,
    watched: bool,
) -> Feeds:
    """Return the feeds of a training whose network is being ``watched``, or not.

    Raises:
        JobError: features are insisted on but cannot be kept, or an image is bad.
    """
    insisted = arguments.cache_features == "true"
    # Auto: somebody who watches the network wants to see all of it run, in the first epoch.
    wanted = insisted or (arguments.cache_features == "auto" and not watched)
    possible = wanted and built.frozen and arguments.repeats_images
    rows = feature_rows(arguments, splits)
    if possible and features_fit(built, rows, environment.world_size):
        return feature_feeds(arguments, environment, splits, built)
    if insisted:
        raise JobError(_cannot_cache(built))
    train, valid = _image_feeds(arguments, environment, splits, built)
    return Feeds(train=train, valid=valid)


def may_keep_features(arguments: TrainingArguments, built: Built) -> bool:
    """Say whether every epoch has features that others have, and nobody minds keeping them.

    A training that is watched does so after its first epoch: ``training.first_pass``.
    """
    return built.frozen and arguments.repeats_images and arguments.cache_features == "auto"


def feeds_again(like: Feeds, built: Built, seed: int) -> Feeds:
    """Return the feeds of ``like`` for a training with another model and another seed."""
    train, valid = like.train.data, like.valid.data
    if like.cached:
        ready = features_on_device(built.compute)
    else:
        ready = images_on_device(built.compute, built.card)
    train = copy.copy(train)  # shares the decoded pixels, or the features
    train.seed = seed
    return Feeds(
        train=Feed(data=train, prepare=ready),
        valid=Feed(data=valid, prepare=ready),
        features=like.features,
    )


def _cannot_cache(built: Built) -> str:
    if not built.frozen:
        return (
            "cache_features=true needs a frozen backbone, but the whole model learns (there are "
            "no pretrained weights, or trainable=all): set trainable=head"
        )
    return "cache_features=true, but the features do not fit into memory: use cache_features=auto"


def memory_limit(processes: int) -> int:
    """Return how many bytes of decoded images or features one process may keep."""
    available = int(psutil.virtual_memory().available) // 4
    return min(_MEMORY_LIMIT, available) // processes


def feature_rows(arguments: TrainingArguments, splits: Splits) -> int:
    """Return how many rows of features a training keeps: a row for each image and view."""
    return rows_of([splits.train, splits.valid], Views.of(arguments))


def features_fit(built: Built, images: int, processes: int) -> bool:
    """Return whether the features of so many images, or views of them, fit into memory, now.

    Leaves the model in evaluation mode.
    """
    return 4 * math.prod(feature_shape(built)) * images <= memory_limit(processes)


def _image_feeds(
    arguments: TrainingArguments, environment: Environment, splits: Splits, built: Built
) -> tuple[Feed, Feed]:
    train = ImageData(
        splits.train,
        built.card,
        augmentation=arguments.augmentation,
        seed=arguments.seed,
        views=Views.of(arguments),
    )
    valid = ImageData(splits.valid, built.card)
    if train.memory + valid.memory <= memory_limit(environment.world_size):
        started, threads = time.perf_counter(), max(1, os.cpu_count() or 1)
        train.preload(threads)
        valid.preload(threads)
        count = sum(len(data) for data in (train, valid) if data.preloaded)
        spent = time.perf_counter() - started
        environment.say(f"decoded {count} images into memory in {spent:.1f} s")
    prepare_images = images_on_device(built.compute, built.card)
    return Feed(data=train, prepare=prepare_images), Feed(data=valid, prepare=prepare_images)


def images_on_device(compute: Compute, card: ModelCard) -> Callable[[Tensor], Tensor]:
    """Return the way of a batch of uint8 images to the network's input."""
    return lambda pixels: compute.images(pixels, card)


def feature_feeds(
    arguments: TrainingArguments, environment: Environment, splits: Splits, built: Built
) -> Feeds:
    """Have each image and view seen once by the frozen backbone, unless its features are kept.

    Raises:
        JobError: an image is bad.
    """
    read = (splits.train, splits.valid)
    folders = feature_folders(environment)
    features = features_of(read, built, arguments, folders=folders)
    environment.say(str(features.use))
    train, valid = (
        Feed(
            data=tensor_data(features, split, seed=arguments.seed),
            prepare=features_on_device(built.compute),
        )
        for split in read
    )
    return Feeds(train=train, valid=valid, features=features.use)


def tensor_data(features: Features, split: Split, *, seed: int) -> TensorData:
    """Return the features of a split as what a training, or an evaluation, reads."""
    rows, labels = features.versions[split.name], torch.tensor(split.labels, dtype=torch.int64)
    views = rows.shape[1] - 1
    return TensorData(rows if views else rows[:, 0], labels, views=views, seed=seed)


def feature_folders(environment: Environment, *, write: Path | None = None) -> FeatureFolders:
    """Return where a job's features are kept: its channel, and where it may ``write``.

    Of several processes the leader writes and tells.
    """
    leads = environment.is_leader
    return FeatureFolders(
        read=readable(environment.channels.get(FEATURES_CHANNEL)),
        write=write if leads else None,
        may_probe=environment.world_size == 1,
        tell=(lambda sentence: print(sentence, flush=True)) if leads else silent,
    )


def features_on_device(compute: Compute) -> Callable[[Tensor], Tensor]:
    """Return the way of a batch of kept features to the tail's input."""
    return lambda features: compute.laid_out(features.to(compute.device, non_blocking=True))
