"""What is said of a delivered model: versions, metrics by name, scores of the test split."""

from __future__ import annotations

import math
import platform
from collections.abc import Iterable, Mapping
from typing import Any

import numpy
import PIL
import safetensors
import torch
import torchvision
from torch import nn

from sm_entrypoints.contract import VALID_CHANNEL, format_metrics
from sm_entrypoints.features.backbone import Compute
from sm_entrypoints.images.batches import BatchOrder, ImageData, make_loader
from sm_entrypoints.images.channels import Split
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.models.model import ModelCard
from sm_entrypoints.training.evaluation import Evaluation, Scores
from sm_entrypoints.training.feeds import images_on_device

_EVALUATION_BATCH = 64


def versions() -> dict[str, str]:
    """Return the versions of what decides a model's numbers."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "numpy": numpy.__version__,
        "pillow": PIL.__version__,
        "safetensors": safetensors.__version__,
    }


def named_metrics(split: str, means: Mapping[str, Any]) -> dict[str, float]:
    """Return the metrics of a split by their names in the contract, without those there are not."""
    names = ("loss", "accuracy", "top5_accuracy")
    return {f"{split}:{name}": means[name] for name in names if means[name] is not None}


def best_metrics(history: Iterable[Mapping[str, Any]], epoch: int) -> dict[str, float]:
    """Return the validation metrics of an epoch by their names in the contract, if there are."""
    for row in history:
        if row["epoch"] == epoch and row["split"] == VALID_CHANNEL:
            return named_metrics(VALID_CHANNEL, row)
    return {}


def last_line(epoch: int, metrics: Mapping[str, float]) -> str:
    """Return the metrics of the delivered model: readers take the last objective they find."""
    finite = {name: value for name, value in metrics.items() if math.isfinite(value)}
    return format_metrics({"epoch": epoch, **finite})


def score_images(
    model: nn.Module,
    card: ModelCard,
    split: Split,
    *,
    compute: Compute,
    environment: Environment,
    num_workers: int,
) -> Scores:
    """Score a delivered model on the images of a split, in float32 as it is served."""
    data, shard = ImageData(split, card), (environment.rank, environment.world_size)
    order = BatchOrder(len(data), _EVALUATION_BATCH, shard=shard)
    evaluation = Evaluation(
        network=model,
        class_count=len(card.classes),
        prepare=images_on_device(compute, card),
    )
    return evaluation.score(make_loader(data, order, num_workers), data.labels)
