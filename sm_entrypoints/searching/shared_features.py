"""What all trials of a search read: features of the training and validation split, once.

The layers of the tail that come before anything that learns, or is random, are applied here, too.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import psutil
import torch
from torch import Tensor, nn

from sm_entrypoints.contract.search import SearchPlanError
from sm_entrypoints.features.backbone import Compute, tail_of
from sm_entrypoints.images.batches import TensorData
from sm_entrypoints.searching.tail_plan import TailPlan, plan_tail, run

_ROWS = 1024
# Of the free memory, what features may take: they are copied block by block, and layers that all
# trials share make others of them.
_MEMORY_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFeatures:
    """What enters the parts of a tail.

    ``train`` enters the first layer that is random or learns; ``valid`` the own layers. ``shapes``
    are of what enters each dropout among the own layers, for one sample.
    """

    plan: TailPlan
    train: TensorData
    valid: TensorData
    shapes: tuple[torch.Size, ...]
    compute: Compute

    @classmethod
    def of(
        cls, model: nn.Module, train: TensorData, valid: TensorData, compute: Compute
    ) -> SharedFeatures:
        """Take features through the layers that are the same for all trials.

        Leaves the tail of ``model`` in training mode.
        """
        tail = tail_of(model)
        plan = plan_tail(tail)
        tail.eval()
        fixed = plan.before[: plan.fixed]
        valid_inputs = _through(plan.before, valid.inputs, compute)
        train_inputs = _through(fixed, train.inputs, compute, versions=train.views + 1)
        shapes = _dropout_shapes(plan, valid_inputs)
        tail.train()
        device = compute.device
        return cls(
            plan=plan,
            train=TensorData(train_inputs, train.labels.to(device), views=train.views),
            valid=TensorData(valid_inputs, valid.labels.to(device)),
            shapes=shapes,
            compute=compute,
        )


def require_memory(shape: Sequence[int], pictures: int, *, views: int = 0) -> None:
    """Check that features of a shape fit: of so many pictures, and of so many ``views`` of some.

    Raises:
        SearchPlanError: they do not; says how much they take, and what to do.
    """
    needed = 4 * math.prod(shape) * (pictures + views)
    available = int(psutil.virtual_memory().available)
    if needed > _MEMORY_SHARE * available:
        raise SearchPlanError(
            f"the features of {pictures:,} pictures{f' and {views:,} views' if views else ''} take "
            f"{needed / 2**30:.1f} GiB, but only {available / 2**30:.1f} GiB of memory are free: "
            f"take a larger instance, {'fewer views, ' if views else ''}a smaller image_size, or "
            "strategy=Bayesian, whose trials read the pictures themselves"
        )


@torch.no_grad()
def _through(
    layers: tuple[nn.Module, ...], inputs: Tensor, compute: Compute, *, versions: int = 1
) -> Tensor:
    active = tuple(layer for layer in layers if not isinstance(layer, nn.Dropout | nn.Identity))
    if not active:
        return inputs.to(compute.device)
    rows = inputs.flatten(0, 1) if versions > 1 else inputs
    parts = [run(active, compute.laid_out(part.to(compute.device))) for part in rows.split(_ROWS)]
    outputs = torch.cat(parts)
    return outputs.unflatten(0, (-1, versions)) if versions > 1 else outputs


@torch.no_grad()
def _dropout_shapes(plan: TailPlan, inputs: Tensor) -> tuple[torch.Size, ...]:
    if plan.way != "stacked":
        return ()
    shapes, sample = [], inputs[:1]
    for layer in plan.own:
        if isinstance(layer, nn.Dropout):
            shapes.append(sample.shape[1:])
        sample = run((layer,), sample)
    return tuple(shapes)
