"""What a network takes: operations, milliseconds for a picture alone, megabytes."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from sm_entrypoints.features.backbone import Built

# Pictures that are timed, unless so many seconds are over before.
_TIMED, _SECONDS = 15, 1.5
_WARM_UP = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """What a network takes for one picture, and in a file.

    Attributes:
        flops: floating-point operations of a forward pass, multiplications and additions.
        milliseconds: the median of a few pictures one by one, as an endpoint computes them:
            float32, without decoding.
        megabytes: of the model's file.
    """

    flops: int
    milliseconds: float
    megabytes: float
    parameters: int


def measure(built: Built) -> Measures:
    """Run a blank picture through a network some times; leaves it in evaluation mode."""
    model, side = built.model.eval(), built.card.image_size
    blank = torch.zeros((1, 3, side, side), device=built.compute.device)
    tensors = model.state_dict().values()
    with torch.inference_mode():
        with FlopCounterMode(display=False) as counter:
            model(blank)
        return Measures(
            flops=counter.get_total_flops(),
            milliseconds=_milliseconds(built, blank),
            megabytes=sum(each.numel() * each.element_size() for each in tensors) / 1e6,
            parameters=sum(each.numel() for each in model.parameters()),
        )


def _milliseconds(built: Built, blank: Tensor) -> float:
    taken: list[float] = []
    begun = time.perf_counter()
    for _ in range(_WARM_UP + _TIMED):
        started = time.perf_counter()
        # The answer is read, which waits for a device that computes by itself.
        built.model(blank).cpu()
        taken.append(1000 * (time.perf_counter() - started))
        if len(taken) > _WARM_UP and time.perf_counter() - begun > _SECONDS:
            break
    return statistics.median(taken[_WARM_UP:])
