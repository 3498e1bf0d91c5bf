"""Describe a tensor by eleven numbers, cheaply, whatever its type, shape or layout.

One pass over the whole tensor gives the extremes, which also tell whether everything is finite. The
rest comes from a regular sample of ``SAMPLE_LIMIT`` elements, in NumPy, whose calls take a third of
the time of torch's at that size. The mean is then off by about 1/90 of the standard deviation.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sm_entrypoints.contract.tensor_records import TensorStatistics

SAMPLE_LIMIT = 8_192
# It is taken in runs of neighbours: each of the places costs a wait for memory, once.
_RUN = 8
# The share of units is counted over so many elements, and so many of each unit at least.
UNIT_LIMIT = 65_536
UNIT_POSITIONS = 256
# A unit that is active for a smaller share of its elements is dead. AWS's DeadRelu and
# SaturatedActivation have threshold_inactivity 1.0 (per cent).
ACTIVE_SHARE = 0.01

Values = NDArray[np.float32] | NDArray[np.float64]


@torch.no_grad()
def summarize(tensor: Tensor, active: tuple[float, float] | None = None) -> TensorStatistics:
    """Return the statistics of a tensor of any shape (0-dim too), layout or device.

    ``min``, ``max``, ``nan`` and ``inf`` are of the whole tensor. Of a sparse tensor the stored
    elements are described, of a complex one both parts.

    Args:
        tensor: a tensor of numbers.
        active: bounds (exclusive) between which an element counts as active: asks for
            ``inactive_fraction``, see :func:`inactive_fraction`.
    """
    tensor = plain(tensor)
    if tensor.numel() == 0:
        return TensorStatistics()
    flat = flatten(tensor)
    nan, inf, low, high = _extremes(flat)
    if low > high:
        return TensorStatistics(nan=nan, inf=inf)
    values = as_numpy(sample(flat))
    if nan or inf:
        values = values[np.isfinite(values)]
    return TensorStatistics(
        min=low,
        max=high,
        inactive_fraction=None if active is None else inactive_fraction(tensor, active),
        nan=nan,
        inf=inf,
        **_moments(values, low, high),
    )


@torch.no_grad()
def summarize_sample(tensor: Tensor, active: tuple[float, float] | None = None) -> TensorStatistics:
    """Return the statistics of a sample alone: at half the cost, but without the extremes. For
    tensors that cannot be broken unless another one is that :func:`summarize` examines.
    """
    tensor = plain(tensor)
    statistics = describe(sampled(tensor))
    if active is None:
        return statistics
    return replace(statistics, inactive_fraction=inactive_fraction(tensor, active))


def describe(values: Values) -> TensorStatistics:
    """Return the statistics of a few values that are on the host already."""
    nan, inf = int(np.isnan(values).sum()), int(np.isinf(values).sum())
    finite = values[np.isfinite(values)] if nan or inf else values
    if not finite.size:
        return TensorStatistics(nan=nan, inf=inf)
    low, high = float(finite.min()), float(finite.max())
    return TensorStatistics(min=low, max=high, nan=nan, inf=inf, **_moments(finite, low, high))


@torch.no_grad()
def inactive_fraction(tensor: Tensor, active: tuple[float, float]) -> float | None:
    """Return the share of units with less than ``ACTIVE_SHARE`` of their elements in ``active``.

    A unit is a channel of (batch, channel, height, width), or an element of the last dimension
    of anything else with a batch. None for tensors without a batch. A NaN is not active.
    """
    if tensor.dim() < 2 or tensor.numel() == 0:
        return None
    units = _sample_units(tensor.flatten(2) if tensor.dim() == 4 else tensor.flatten(0, -2).T[None])
    low, high = active
    inside = units > low if high == math.inf else (units > low) & (units < high)
    share = inside.sum((0, 2), dtype=torch.int32) / (units.shape[0] * units.shape[2])
    return float((share < ACTIVE_SHARE).float().mean())


def plain(tensor: Tensor) -> Tensor:
    """Return the elements as a dense tensor of a type that every operation here takes."""
    tensor = tensor.detach()
    if tensor.layout is not torch.strided:
        sparse = tensor.layout is torch.sparse_coo
        tensor = tensor.coalesce().values() if sparse else tensor.to_dense()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    # One-byte floats have next to no operations; NumPy has no bfloat16 either, see as_numpy.
    if tensor.dtype is torch.bool or (tensor.is_floating_point() and tensor.element_size() == 1):
        return tensor.to(torch.float32)
    return tensor


def flatten(tensor: Tensor) -> Tensor:
    """Return the elements in one dimension, in memory order where that spares a copy."""
    channels_last = tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    return (tensor.permute(0, 2, 3, 1) if channels_last else tensor).reshape(-1)


def sample(flat: Tensor, limit: int = SAMPLE_LIMIT) -> Tensor:
    """Return at most ``limit`` elements of a one-dimensional tensor, in evenly spaced runs."""
    if flat.numel() <= limit:
        return flat
    runs = flat[: flat.numel() // _RUN * _RUN].view(-1, _RUN)
    # Coprime to the usual sizes of channels and rows: a step of 64 would see some channels only.
    step = _coprime(math.ceil(len(runs) * _RUN / limit), 2 * 3 * 5 * 7)
    return runs[::step].flatten()


def sampled(tensor: Tensor) -> Values:
    """Return a sample of any tensor's elements, on the host."""
    return as_numpy(sample(flatten(plain(tensor))))


def as_numpy(values: Tensor) -> Values:
    """Return values on the host, as float32 or (float64 and integers) float64."""
    wide = values.dtype is torch.float64 or not values.is_floating_point()
    array: Values = values.to(torch.float64 if wide else torch.float32).cpu().numpy()
    return array


def _sample_units(units: Tensor) -> Tensor:
    """Return a part of (batch, unit, position) that has every unit."""
    batch, count, positions = units.shape
    wanted = max(UNIT_POSITIONS, UNIT_LIMIT // count)
    step = _coprime(math.ceil(batch * positions / wanted), positions)
    if step < positions:
        return units[:, :, ::step]
    return units[:: max(1, batch * positions // wanted)]


def _coprime(step: int, size: int) -> int:
    while step > 1 and math.gcd(step, size) != 1:
        step += 1
    return max(1, step)


def _extremes(flat: Tensor) -> tuple[int, int, float, float]:
    """Return NaN and infinities counted, and the finite extremes (inf, -inf without any)."""
    low, high = (float(value) for value in torch.aminmax(flat))
    if math.isfinite(low) and math.isfinite(high):
        return 0, 0, low, high
    nan, inf = int(torch.isnan(flat).sum()), int(torch.isinf(flat).sum())
    finite = flat[torch.isfinite(flat)]
    if finite.numel() == 0:
        return nan, inf, math.inf, -math.inf
    low, high = (float(value) for value in torch.aminmax(finite))
    return nan, inf, low, high


# Sums and squares of doubles near their limit overflow: such a moment is infinite.
@np.errstate(over="ignore", invalid="ignore")
def _moments(values: Values, low: float, high: float) -> dict[str, float]:
    if not values.size:  # the few finite elements fell between those of the sample
        return {}
    # In doubles: those of float32 values would overflow long before.
    mean = float(values.mean(dtype=np.float64))
    variance = float(np.square(np.subtract(values, mean, dtype=np.float64)).mean())
    zeros = np.count_nonzero(values == 0) / values.size
    if zeros == 1 and not low == high == 0:
        zeros = 1 - 1 / values.size
    p5, p95 = _percentiles(values)
    return {
        "mean": mean,
        "std": math.sqrt(variance),
        "abs_mean": float(np.abs(values).mean(dtype=np.float64)),
        "p5": p5,
        "p95": p95,
        "zero_fraction": float(zeros),
    }


def _percentiles(values: Values) -> tuple[float, float]:
    """Return the 5th and 95th percentile, interpolated as ``numpy.percentile`` does."""
    places = [share * (values.size - 1) for share in (0.05, 0.95)]
    around = sorted({int(place) for place in places} | {math.ceil(place) for place in places})
    ordered = np.partition(values, around)
    percentiles = []
    for place in places:
        below, above = float(ordered[int(place)]), float(ordered[math.ceil(place)])
        share = place - int(place)
        percentiles.append(below * (1 - share) + above * share)
    return percentiles[0], percentiles[1]
