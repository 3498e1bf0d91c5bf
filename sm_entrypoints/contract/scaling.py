"""On which scale a range of hyperparameters is drawn, and where on it a value lies.

SageMaker does not say what ``Auto`` does. Both searches on this machine, and whoever judges their
results, ask here, so that a value is measured on the scale it was drawn on. Standard library only.
"""

from __future__ import annotations

import math
from typing import Literal

Scale = Literal["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]

# From this ratio of the bounds on, orders of magnitude matter more than steps.
_AUTO_RATIO = 100
# So near to an end, in shares of the range, a best value may well lie beyond.
_EDGE_SHARE = 0.02


def drawn_scale(scale: Scale, low: float, high: float) -> Scale:
    """Return the scale on which draws are even: never ``Auto``.

    >>> from sm_entrypoints.contract.scaling import drawn_scale
    >>> drawn_scale("Auto", 1e-5, 1e-1), drawn_scale("Auto", 0, 1)
    ('Logarithmic', 'Linear')
    """
    if scale != "Auto":
        return scale
    return "Logarithmic" if low > 0 and high / low >= _AUTO_RATIO else "Linear"


def edge_of(
    value: float, low: float, high: float, scale: Scale
) -> Literal["lower", "upper"] | None:
    """Say at which end of a range a value lies: within 2% of it on the scale of the draws.

    >>> from sm_entrypoints.contract.scaling import edge_of
    >>> edge_of(1e-3, 1e-5, 1e-1, "Auto"), edge_of(9e-2, 1e-5, 1e-1, "Auto")
    (None, 'upper')
    """
    drawn = drawn_scale(scale, low, high)
    first, last = _place(low, drawn), _place(high, drawn)
    share = (_place(min(max(value, low), high), drawn) - first) / (last - first)
    if share <= _EDGE_SHARE:
        return "lower"
    return "upper" if share >= 1 - _EDGE_SHARE else None


def _place(value: float, scale: Scale) -> float:
    if scale == "Logarithmic":
        return math.log(value)
    return -math.log1p(-value) if scale == "ReverseLogarithmic" else float(value)
