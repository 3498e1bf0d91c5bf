"""Optimisers, learning rates and their schedule."""

from __future__ import annotations

import math

from torch import nn, optim

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.models.model import head_name

# PyTorch's OneCycleLR: rise for 30% of the steps from lr/25, then fall to lr/250,000.
_RISE, _START, _END = 0.3, 1 / 25, 1 / 250_000


def peak_rates(arguments: TrainingArguments, *, pretrained: bool) -> tuple[float, float]:
    """Return the highest learning rates of the head, and of what learns before it."""
    if arguments.backbone_lr is not None:
        return arguments.lr, arguments.backbone_lr
    return arguments.lr, arguments.lr / 10 if pretrained else arguments.lr


def make_optimizer(
    model: nn.Module, arguments: TrainingArguments, *, pretrained: bool
) -> optim.Optimizer:
    """Return the optimiser of what learns in ``model``: the head first, then the backbone."""
    lr, backbone_lr = peak_rates(arguments, pretrained=pretrained)
    head = set(model.get_submodule(head_name(model)).parameters())
    learns = [parameter for parameter in model.parameters() if parameter.requires_grad]
    backbone = [parameter for parameter in learns if parameter not in head]
    groups = [{"params": [p for p in learns if p in head], "lr": lr, "peak": lr}]
    if backbone:
        groups.append({"params": backbone, "lr": backbone_lr, "peak": backbone_lr})
    decay = arguments.weight_decay
    if arguments.optimizer == "sgd":
        return optim.SGD(groups, momentum=arguments.momentum, weight_decay=decay)
    if arguments.optimizer == "adam":
        return optim.Adam(groups, eps=arguments.eps, weight_decay=decay)
    return optim.AdamW(groups, eps=arguments.eps, weight_decay=decay)


def rate_factor(arguments: TrainingArguments, step: int, steps_per_epoch: int) -> float:
    """Return what the peak learning rate is multiplied with at ``step`` (0-based) of the job.

    A pure function of the step: a resumed job continues its schedule without stored state.
    """
    total = max(1, arguments.epochs * steps_per_epoch)
    if arguments.schedule == "onecycle":
        return _one_cycle(step / total)
    warmup = min(arguments.warmup_epochs * steps_per_epoch, total)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, total - warmup)
    if arguments.schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if arguments.schedule == "step":
        return float(0.1 ** int(3 * done))
    return 1.0


def _one_cycle(done: float) -> float:
    if done < _RISE:
        return _between(_START, 1.0, done / _RISE)
    return _between(1.0, _END, (done - _RISE) / (1 - _RISE))


def _between(start: float, end: float, done: float) -> float:
    """Return the way from ``start`` to ``end`` along half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def set_rate(optimizer: optim.Optimizer, factor: float) -> float:
    """Set every group to ``factor`` times its peak; return the head's learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    return float(optimizer.param_groups[0]["lr"])
