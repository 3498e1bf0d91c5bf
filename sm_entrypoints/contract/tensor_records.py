"""What is recorded of a tensor: a line of ``reductions.jsonl``, which rules and figures read."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorStatistics:
    """Statistics of the finite elements; None where there are none.

    Attributes:
        inactive_fraction: share of the units (channels) that are dead (ReLU: active for less than
            1% of the inputs) or saturated (tanh, sigmoid).
    """

    mean: float | None = None
    std: float | None = None
    min: float | None = None
    max: float | None = None
    abs_mean: float | None = None
    p5: float | None = None
    p95: float | None = None
    zero_fraction: float | None = None
    inactive_fraction: float | None = None
    nan: int = 0
    inf: int = 0


STATISTICS = tuple(field.name for field in fields(TensorStatistics))
REDUCTION_COLUMNS = ("step", "epoch", "mode", "collection", "name", *STATISTICS)


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRecord(TensorStatistics):
    """Statistics of one tensor at one step (losses: ``mean``).

    ``collection`` is one of losses, gradients, weights, update_ratios, relu_input, relu_output,
    inputs, and tanh_input, sigmoid_input for layers that saturate.
    """

    step: int
    epoch: int
    mode: str
    collection: str
    name: str
