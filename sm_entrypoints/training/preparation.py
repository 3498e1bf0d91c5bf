"""From hyperparameters and channels to a :class:`Training`: model, weights, feeds, optimiser."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import nn

from sm_entrypoints.contract import IMAGENET_MEAN, IMAGENET_STD, WEIGHTS_CHANNEL, WEIGHTS_FILE
from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.contract.hyperparameters import HYPERPARAMETERS
from sm_entrypoints.contract.rule_actions import parse_actions
from sm_entrypoints.features.backbone import Built, Compute, tail_of, without_hooks
from sm_entrypoints.images.batches import BatchOrder
from sm_entrypoints.images.channels import Splits
from sm_entrypoints.instrumentation.session import Instrumentation
from sm_entrypoints.job.containment import Containment
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.job.processes import StopRequest, total
from sm_entrypoints.models.given_weights import GivenWeights, read_channel
from sm_entrypoints.models.model import (
    PREPROCESSING,
    ModelCard,
    build_model,
    resize_size,
)
from sm_entrypoints.models.weights import (
    WeightsError,
    fit_weights,
    load_fit,
)
from sm_entrypoints.rules.online import RuleWatch
from sm_entrypoints.rules.tensor.job import TensorJob
from sm_entrypoints.training.checkpoint import Checkpoints, frozen_digest
from sm_entrypoints.training.feeds import (
    Feeds,
    feature_feeds,
    feature_rows,
    features_fit,
    feeds_again,
    make_feeds,
    may_keep_features,
)
from sm_entrypoints.training.network import choose_compute, freeze_backbone, require_batch
from sm_entrypoints.training.optimisation import make_optimizer
from sm_entrypoints.training.state import Feed, Training, learning_tensors

# The last maps of a larger image have several pixels in every torchvision classifier.
SMALL_IMAGE = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A training ready to run, and what the outputs say about it.

    ``compute`` is that of the whole model; on cached features the training has a float32 one.
    """

    training: Training
    card: ModelCard
    compute: Compute
    feeds: Feeds


def prepare(
    arguments: TrainingArguments,
    environment: Environment,
    splits: Splits,
    stop: StopRequest,
    *,
    like: Prepared | None = None,
) -> Prepared:
    """Build all that :func:`sm_entrypoints.training.loop.fit` needs, in memory where it fits.

    With ``like`` its images or features are taken over instead of being made once more; the
    arguments must be such that they would come out the same: ``feeds.same_data``.

    Raises:
        JobError: unknown model, missing or misfit weights, a bad image.
    """
    built = build(arguments, environment, splits)
    _require_batches(arguments, environment, splits, built)
    loss_function = nn.CrossEntropyLoss(label_smoothing=arguments.label_smoothing)
    # With cached features a frozen model runs its tail only, and hooks are on this very object.
    tail = tail_of(built.model) if built.frozen else built.model
    rules = Containment("rules", on_failure=lambda: None)
    watch = rules.run(_rule_watch, arguments, environment, splits, pretrained=built.pretrained)
    observed = tail if arguments.cache_features == "true" else built.model
    instrumentation = _instrumentation(arguments, environment, observed, loss_function, watch)
    measured = False
    if like is None:
        # Only the leader measures, but all processes have to run the same network.
        measured = bool(total(torch.tensor(float(instrumentation.enabled))).item())
        feeds = make_feeds(arguments, environment, splits, built, measured)
    else:
        feeds = feeds_again(like.feeds, built, arguments.seed)
    keeps = measured and not feeds.cached and may_keep_features(arguments, built)
    training = Training(
        arguments=arguments,
        environment=environment,
        model=built.model,
        network=tail if feeds.cached else built.model,
        frozen=built.frozen,
        class_count=len(splits.classes),
        # A head alone gains nothing from bfloat16, and would lose three digits of its scores.
        compute=replace(built.compute, dtype=torch.float32) if feeds.cached else built.compute,
        optimizer=make_optimizer(built.model, arguments, pretrained=built.pretrained),
        loss_function=loss_function,
        train=feeds.train,
        valid=feeds.valid,
        instrumentation=instrumentation,
        checkpoints=_checkpoints(arguments, environment, built),
        stop=stop,
        watch=watch,
        keeps_features=keeps,
        pretrained=built.pretrained,
        # An epoch shows one version of each image, and others show other ones.
        later_feeds=partial(_later_feeds, arguments, environment, splits, built)
        if keeps and arguments.views
        else None,
    )
    return Prepared(training=training, card=built.card, compute=built.compute, feeds=feeds)


def _later_feeds(
    arguments: TrainingArguments, environment: Environment, splits: Splits, built: Built
) -> tuple[Feed, Feed] | None:
    """Return the features of all images and views, unless they are too many for some process."""
    with without_hooks(built.model):
        rows = feature_rows(arguments, splits)
        misfit = float(not features_fit(built, rows, environment.world_size))
        if float(total(torch.tensor(misfit))):
            return None
        feeds = feature_feeds(arguments, environment, splits, built)
    return feeds.train, feeds.valid


def _instrumentation(
    arguments: TrainingArguments,
    environment: Environment,
    model: nn.Module,
    loss_function: nn.Module,
    watch: RuleWatch | None,
) -> Instrumentation:
    instrumentation = Instrumentation.from_environment(
        environment,
        model=model,
        loss_function=loss_function,
        requested=arguments.instrumentation,
        watch=watch,
    )
    if arguments.rules and environment.is_leader and not instrumentation.enabled:
        print(f"rules={arguments.rules} has no effect without instrumentation", flush=True)
    return instrumentation


def _rule_watch(
    arguments: TrainingArguments, environment: Environment, splits: Splits, *, pretrained: bool
) -> RuleWatch:
    job = TensorJob(
        steps_per_epoch=len(_order(arguments, environment, splits)),
        epochs=arguments.epochs,
        batch_size=arguments.batch_size,
        classes=len(splits.classes),
        pretrained=pretrained,
    )
    return RuleWatch(job, parse_actions(arguments.rules))


def _require_batches(
    arguments: TrainingArguments, environment: Environment, splits: Splits, built: Built
) -> None:
    if arguments.image_size < SMALL_IMAGE:
        sizes = [len(batch) for batch in _order(arguments, environment, splits)]
        smallest = min(sizes, default=1)
        require_batch(built.model, built.card, smallest=min(smallest, 2), frozen=built.frozen)


def _order(arguments: TrainingArguments, environment: Environment, splits: Splits) -> BatchOrder:
    shard = (environment.rank, environment.world_size)
    return BatchOrder(len(splits.train), arguments.batch_size, seed=arguments.seed, shard=shard)


def build(
    arguments: TrainingArguments,
    environment: Environment,
    splits: Splits,
    *,
    weights_file: str = WEIGHTS_FILE,
) -> Built:
    """Return the network with its weights, frozen or not, on its device.

    ``weights_file`` is the name of prepared weights in their channel.

    Raises:
        JobError: unknown model, missing or misfit weights.
    """
    torch.manual_seed(arguments.seed)
    size = arguments.image_size
    model = build_model(arguments.model, len(splits.classes), image_size=size)
    weights = _given_weights(arguments, environment, model, splits, weights_file)
    fingerprints = {"data": splits.fingerprint()}
    mean, std = IMAGENET_MEAN, IMAGENET_STD
    fresh: tuple[str, ...] = ()
    if weights:
        source = weights.source
        fit = fit_weights(weights.tensors, model, architecture=arguments.model, source=source)
        load_fit(model, fit)
        fresh = fit.fresh
        mean, std = weights.mean, weights.std
        fingerprints["weights"] = weights.sha256
        environment.say(f"weights {source}: {'; '.join(fit.notes) or 'all tensors fit'}")
    frozen = arguments.trainable == "head" or (arguments.trainable == "auto" and bool(weights))
    if frozen:
        freeze_backbone(model, fresh=fresh)
        if not weights:
            environment.say("trainable=head without weights: the backbone stays random")
    compute = choose_compute(arguments, frozen=frozen, local_rank=environment.local_rank)
    layout = torch.channels_last if compute.channels_last else torch.contiguous_format
    card = ModelCard(
        architecture=arguments.model,
        classes=splits.classes,
        image_size=size,
        resize_size=resize_size(size),
        mean=mean,
        std=std,
        fingerprints=fingerprints,
        preprocessing=PREPROCESSING,
    )
    return Built(
        model=model.to(compute.device, memory_format=layout),  # type: ignore[call-overload]
        card=card,
        compute=compute,
        frozen=frozen,
        pretrained=bool(weights),
    )


def _given_weights(
    arguments: TrainingArguments,
    environment: Environment,
    model: nn.Module,
    splits: Splits,
    file: str,
) -> GivenWeights | None:
    folder = environment.channels.get(WEIGHTS_CHANNEL)
    if arguments.weights == "none" or (folder is None and arguments.weights == "auto"):
        return None
    if folder is None:
        raise WeightsError(
            "weights=channel, but the job has no 'weights' channel: add one, or set weights=none"
        )
    return read_channel(folder, model, splits.classes, file=file)


def _checkpoints(
    arguments: TrainingArguments, environment: Environment, built: Built
) -> Checkpoints:
    learns = learning_tensors(built.model, frozen=built.frozen)
    identifying = [row.name for row in HYPERPARAMETERS.values() if row.identifies]
    identity = {
        **{name: str(getattr(arguments, name)) for name in identifying},
        "classes": hashlib.sha256("\0".join(built.card.classes).encode()).hexdigest(),
        "trainable": "head" if built.frozen else "all",
        "frozen": frozen_digest(built.model, learns),
    }
    folder = environment.own_checkpoint_dir
    if environment.checkpoint_dir.is_dir():
        folder.mkdir(exist_ok=True)
    return Checkpoints(folder, identity, keep=arguments.keep_checkpoints)
