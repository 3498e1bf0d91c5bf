"""Describe a tensor by ten numbers, cheaply, whatever its type, shape or layout."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# Moments of larger tensors come from a regular sample of this many elements, percentiles from
# fewer (they need a sort). Non-finite values are always counted over the whole tensor.
SAMPLE_LIMIT = 1_000_000
QUANTILE_LIMIT = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorStatistics:
    """Statistics of the finite elements; None where there are none."""

    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    abs_mean: float | None = None
    p5: float | None = None
    p95: float | None = None
    zero_fraction: float | None = None
    nan: int = 0
    inf: int = 0


@torch.no_grad()
def summarize(tensor: Tensor) -> TensorStatistics:
    """Return the statistics of a tensor of any real type, shape (0-dim too), layout or device."""
    flat = flatten(tensor.detach())
    nan, inf = _count_non_finite(flat)
    values = sample(flat).float()
    if nan or inf:
        values = values[torch.isfinite(values)]
    if values.numel() == 0:
        return TensorStatistics(nan=nan, inf=inf)
    mean = values.mean()
    # Two plain passes: torch.std_mean takes ten times as long on a CPU, for the same result.
    std = (values - mean).square().mean().sqrt()
    low, high = torch.aminmax(values)
    quantiles = torch.quantile(
        sample(values, QUANTILE_LIMIT), torch.tensor([0.05, 0.95], device=values.device)
    )
    zeros = 1 - torch.count_nonzero(values) / values.numel()
    # One transfer for all numbers: on a GPU each .item() would wait for the device again.
    packed = torch.stack([mean, std, low, high, values.abs().mean(), *quantiles, zeros])
    numbers = [float(number) for number in packed.tolist()]
    names = ("mean", "std", "min", "max", "abs_mean", "p5", "p95", "zero_fraction")
    return TensorStatistics(**dict(zip(names, numbers, strict=True)), nan=nan, inf=inf)


def flatten(tensor: Tensor) -> Tensor:
    """Return the elements in one dimension, in memory order where that spares a copy."""
    channels_last = tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    return (tensor.permute(0, 2, 3, 1) if channels_last else tensor).reshape(-1)


def sample(flat: Tensor, limit: int = SAMPLE_LIMIT) -> Tensor:
    """Return at most ``limit`` evenly spaced elements of a one-dimensional tensor."""
    step = math.ceil(flat.numel() / limit)
    if step <= 1:
        return flat
    # Coprime to the usual sizes of channels and rows: a step of 64 would see one channel only.
    while math.gcd(step, 2 * 3 * 5 * 7) != 1:
        step += 1
    return flat[::step]


def _count_non_finite(flat: Tensor) -> tuple[int, int]:
    """Count NaN and infinities; one cheap pass when there are none."""
    if not flat.is_floating_point() or math.isfinite(float(flat.sum(dtype=torch.float32))):
        return 0, 0
    return int(torch.isnan(flat).sum()), int(torch.isinf(flat).sum())
