"""From hyperparameters and channels to a :class:`Training`: model, weights, feeds, optimiser."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import torch
from torch import Tensor, nn

from sm_entrypoints.arguments import TrainingArguments
from sm_entrypoints.channels import Split, Splits
from sm_entrypoints.checkpoint import Checkpoints, frozen_digest
from sm_entrypoints.contract import WEIGHTS_CHANNEL, WEIGHTS_FILE
from sm_entrypoints.dataset import BatchOrder, ImageData, TensorData, make_loader
from sm_entrypoints.environment import Environment
from sm_entrypoints.errors import JobError
from sm_entrypoints.instrumentation import Instrumentation
from sm_entrypoints.model import IMAGENET_MEAN, IMAGENET_STD, ModelCard, build_model, resize_size
from sm_entrypoints.network import (
    Compute,
    choose_compute,
    compute_features,
    freeze_backbone,
    tail_of,
)
from sm_entrypoints.optimisation import make_optimizer
from sm_entrypoints.processes import StopRequest
from sm_entrypoints.training import Feed, Training, learning_tensors
from sm_entrypoints.weights import (
    WeightsError,
    fit_weights,
    load_fit,
    read_normalisation,
    read_weights,
)

# Decoded images or features are kept in memory up to this, or a quarter of what is available.
_MEMORY_LIMIT = 1 << 30
_FEATURE_BATCH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A training ready to run, and what the outputs say about it.

    ``compute`` is that of the whole model; on cached features the training has a float32 one.
    """

    training: Training
    card: ModelCard
    compute: Compute
    cached_features: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Built:
    """The model on its device, and what is known before any image was decoded."""

    model: nn.Module
    card: ModelCard
    compute: Compute
    frozen: bool
    pretrained: bool


def prepare(
    arguments: TrainingArguments, environment: Environment, splits: Splits, stop: StopRequest
) -> Prepared:
    """Build everything that :func:`sm_entrypoints.trainer.fit` needs, in memory where it fits.

    Raises:
        JobError: unknown model, missing or misfit weights, a bad image.
    """
    built = _build(arguments, environment, splits)
    loss_function = nn.CrossEntropyLoss(label_smoothing=arguments.label_smoothing)
    insisted = arguments.cache_features == "true"
    # A frozen model whose features are cached runs its tail only: that is what is instrumented.
    instrumentation = Instrumentation.from_environment(
        environment,
        model=tail_of(built.model) if insisted else built.model,
        loss_function=loss_function,
        requested=arguments.instrumentation,
    )
    # Auto: somebody who watches the network wants to see all of it run.
    wanted = insisted or (arguments.cache_features == "auto" and not instrumentation.enabled)
    feeds = _feature_feeds(arguments, environment, splits, built) if wanted else None
    if feeds is None and insisted:
        raise JobError(_cannot_cache(built))
    cached = feeds is not None
    train, valid = feeds or _image_feeds(arguments, environment, splits, built)
    training = Training(
        arguments=arguments,
        environment=environment,
        model=built.model,
        network=tail_of(built.model) if cached else built.model,
        frozen=built.frozen,
        class_count=len(splits.classes),
        # A head alone gains nothing from bfloat16, and would lose three digits of its scores.
        compute=replace(built.compute, dtype=torch.float32) if cached else built.compute,
        optimizer=make_optimizer(built.model, arguments, pretrained=built.pretrained),
        loss_function=loss_function,
        train=train,
        valid=valid,
        instrumentation=instrumentation,
        checkpoints=_checkpoints(arguments, environment, built),
        stop=stop,
    )
    return Prepared(
        training=training, card=built.card, compute=built.compute, cached_features=cached
    )


def _cannot_cache(built: _Built) -> str:
    if not built.frozen:
        return (
            "cache_features=true needs a frozen backbone, but all of the model learns (there are "
            "no pretrained weights, or trainable=all): set trainable=head"
        )
    return "cache_features=true, but the features do not fit into memory: use cache_features=auto"


def _build(arguments: TrainingArguments, environment: Environment, splits: Splits) -> _Built:
    torch.manual_seed(arguments.seed)
    size = arguments.image_size
    model = build_model(arguments.model, len(splits.classes), image_size=size)
    weights = _weights_file(arguments, environment.channels)
    fingerprints = {"data": splits.fingerprint()}
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    if weights:
        source = f"{WEIGHTS_CHANNEL}/{weights.name}"
        fit = fit_weights(read_weights(weights), model, architecture=arguments.model, source=source)
        load_fit(model, fit)
        mean, std = read_normalisation(weights)
        fingerprints["weights"] = _sha256(weights)
        if environment.is_leader:
            print(f"weights {source}: {'; '.join(fit.notes) or 'all tensors fit'}", flush=True)
    frozen = arguments.trainable == "head" or (arguments.trainable == "auto" and bool(weights))
    if frozen:
        freeze_backbone(model)
        if not weights and environment.is_leader:
            print("trainable=head without weights: the backbone stays random", flush=True)
    compute = choose_compute(arguments, local_rank=environment.local_rank)
    layout = torch.channels_last if compute.channels_last else torch.contiguous_format
    card = ModelCard(
        architecture=arguments.model,
        classes=splits.classes,
        image_size=size,
        resize_size=resize_size(size),
        mean=mean,
        std=std,
        fingerprints=fingerprints,
    )
    return _Built(
        model=model.to(compute.device, memory_format=layout),  # type: ignore[call-overload]
        card=card,
        compute=compute,
        frozen=frozen,
        pretrained=bool(weights),
    )


def _weights_file(arguments: TrainingArguments, channels: Mapping[str, Path]) -> Path | None:
    folder = channels.get(WEIGHTS_CHANNEL)
    if arguments.weights == "none" or (folder is None and arguments.weights == "auto"):
        return None
    if folder is None:
        raise WeightsError(
            "weights=channel, but the job has no 'weights' channel: add one, or set weights=none"
        )
    file = folder / WEIGHTS_FILE
    if not file.is_file():
        found = sorted(path.name for path in folder.iterdir())[:3] if folder.is_dir() else []
        raise WeightsError(
            f"channel 'weights' must hold {WEIGHTS_FILE}, but it holds {found or 'nothing'}"
        )
    return file


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checkpoints(
    arguments: TrainingArguments, environment: Environment, built: _Built
) -> Checkpoints:
    learns = learning_tensors(built.model, frozen=built.frozen)
    identity = {
        "model": arguments.model,
        "classes": hashlib.sha256("\0".join(built.card.classes).encode()).hexdigest(),
        "image_size": str(arguments.image_size),
        "optimizer": arguments.optimizer,
        "trainable": "head" if built.frozen else "all",
        "frozen": frozen_digest(built.model, learns),
    }
    return Checkpoints(environment.checkpoint_dir, identity, keep=arguments.keep_checkpoints)


def memory_limit(processes: int) -> int:
    """Return how many bytes of decoded images or features one process may keep."""
    available = int(psutil.virtual_memory().available) // 4
    return min(_MEMORY_LIMIT, available) // processes


def _image_feeds(
    arguments: TrainingArguments, environment: Environment, splits: Splits, built: _Built
) -> tuple[Feed, Feed]:
    train = ImageData(
        splits.train, built.card, augmentation=arguments.augmentation, seed=arguments.seed
    )
    valid = ImageData(splits.valid, built.card)
    if train.memory + valid.memory <= memory_limit(environment.world_size):
        started, threads = time.perf_counter(), max(1, os.cpu_count() or 1)
        train.preload(threads)
        valid.preload(threads)
        if environment.is_leader:
            count = sum(len(data) for data in (train, valid) if data.preloaded)
            spent = time.perf_counter() - started
            print(f"decoded {count} images into memory in {spent:.1f} s", flush=True)
    prepare_images = images_on_device(built.compute, built.card)
    return Feed(data=train, prepare=prepare_images), Feed(data=valid, prepare=prepare_images)


def images_on_device(compute: Compute, card: ModelCard) -> Callable[[Tensor], Tensor]:
    """Return the way of a batch of uint8 images to the network's input."""
    return lambda pixels: compute.images(pixels, card)


def _feature_feeds(
    arguments: TrainingArguments, environment: Environment, splits: Splits, built: _Built
) -> tuple[Feed, Feed] | None:
    """Run the frozen backbone once over each image; None when that cannot be or does not fit."""
    if not built.frozen or arguments.augmentation != "none":
        return None
    started, left, feeds = time.perf_counter(), memory_limit(environment.world_size), []
    for split in (splits.train, splits.valid):
        features = _features(arguments, split, built, left)
        if features is None:
            return None
        left -= features.numel() * features.element_size()
        labels = torch.tensor(split.labels, dtype=torch.int64)
        feeds.append(
            Feed(data=TensorData(features, labels), prepare=_features_on_device(built.compute))
        )
    if environment.is_leader:
        count, spent = len(splits.train) + len(splits.valid), time.perf_counter() - started
        print(f"computed the features of {count} images in {spent:.1f} s", flush=True)
    return feeds[0], feeds[1]


def _features(
    arguments: TrainingArguments, split: Split, built: _Built, limit: int
) -> Tensor | None:
    data = ImageData(split, built.card)
    loader = make_loader(data, BatchOrder(len(data), _FEATURE_BATCH), arguments.num_workers)
    return compute_features(built.model, built.card, loader, built.compute, limit=limit)


def _features_on_device(compute: Compute) -> Callable[[Tensor], Tensor]:
    return lambda features: compute.laid_out(features.to(compute.device, non_blocking=True))
