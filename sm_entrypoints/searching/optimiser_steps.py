"""One step of torch's Adam, AdamW and SGD on stacked parameters, a trial in each row.

:func:`fused` steps row by row with torch's own fused kernels, which read each number once; that is
the fastest on a CPU. :func:`stacked` steps all rows of one kind together, for GPUs, where launches
cost the most, and for a torch that has no fused kernels for CPUs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from sm_entrypoints.contract.arguments import TrainingArguments

# torch's defaults for Adam and AdamW.
_BETA1, _BETA2 = 0.9, 0.999


class Moments(NamedTuple):
    """Tensors of one optimiser, by parameter: values, gradients and the running means."""

    values: list[Tensor]
    gradients: list[Tensor]
    means: list[Tensor]
    squares: list[Tensor]


def has_fused_steps(device: torch.device) -> bool:
    """Say whether :func:`fused` can step on a device."""
    names = ("_fused_adam_", "_fused_adamw_", "_fused_sgd_")
    return device.type == "cpu" and all(hasattr(torch, name) for name in names)


def fused(row: Moments, arguments: TrainingArguments, lr: float, count: Tensor) -> None:
    """Step one trial; ``count`` is the number of the step, from 1."""
    values, gradients, means, squares = row
    if arguments.optimizer == "sgd":
        torch._fused_sgd_(
            *(values, gradients, means if arguments.momentum else []),
            weight_decay=arguments.weight_decay,
            momentum=arguments.momentum,
            lr=lr,
            dampening=0.0,
            nesterov=False,
            maximize=False,
            is_first_step=False,
        )
        return
    step = torch._fused_adam_ if arguments.optimizer == "adam" else torch._fused_adamw_
    step(
        *(values, gradients, means, squares, [], [count] * len(values)),
        lr=lr,
        beta1=_BETA1,
        beta2=_BETA2,
        weight_decay=arguments.weight_decay,
        eps=arguments.eps,
        amsgrad=False,
        maximize=False,
    )


def stacked(
    rows: Moments, arguments: Sequence[TrainingArguments], rates: Sequence[float], step: int
) -> None:
    """Step several trials of one kind of optimiser; each tensor has a row for each of them."""
    kind = arguments[0].optimizer
    decays = [each.weight_decay for each in arguments]
    for value, gradient, mean, square in zip(*rows, strict=True):
        lr = _column(rates, value)
        if kind == "adamw":
            value.mul_(_column([1 - r * d for r, d in zip(rates, decays, strict=True)], value))
        else:
            gradient = gradient.addcmul(_column(decays, value), value)
        if kind == "sgd":
            mean.mul_(_column([each.momentum for each in arguments], value)).add_(gradient)
            value.addcmul_(mean, lr, value=-1)
            continue
        mean.lerp_(gradient, 1 - _BETA1)
        square.mul_(_BETA2).addcmul_(gradient, gradient, value=1 - _BETA2)
        root = square.sqrt().div_(math.sqrt(1 - _BETA2**step))
        root.add_(_column([each.eps for each in arguments], value))
        value.addcdiv_(mean.mul(lr), root, value=-1 / (1 - _BETA1**step))


def _column(numbers: Sequence[float], like: Tensor) -> Tensor:
    """Return a number for each row of ``like``, to be multiplied with it."""
    column = torch.tensor(numbers, dtype=like.dtype, device=like.device)
    return column.reshape(-1, *[1] * (like.dim() - 1))
