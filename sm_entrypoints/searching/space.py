"""The ranges of a plan as Optuna's distributions, and draws as texts of the wire."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from sm_entrypoints.contract.search import SearchPlan
from sm_entrypoints.contract.search_ranges import SearchedRange
from sm_entrypoints.contract.wire import decode


class Space:
    """What is drawn, in the order of the plan; ``epochs`` only up to the plan's most."""

    def __init__(self, plan: SearchPlan) -> None:
        self.ranges = dict(plan.ranges)
        if "epochs" in self.ranges and plan.max_epochs is not None:
            self.ranges["epochs"] = _up_to(self.ranges["epochs"], plan.max_epochs)
        self.distributions = {name: _distribution(span) for name, span in self.ranges.items()}

    def texts(self, drawn: Mapping[str, Any]) -> dict[str, str]:
        """Return a draw as the hyperparameters of a trial: floats are read back exactly."""
        return {name: _text(span, drawn[name]) for name, span in self.ranges.items()}

    def at(self, point: Sequence[float]) -> dict[str, Any]:
        """Return the draw at a point of the unit cube, a side (0 to below 1) for each range."""
        sides = zip(self.distributions.items(), point, strict=True)
        return {name: _at(distribution, side) for (name, distribution), side in sides}

    def draw(self, texts: Mapping[str, str]) -> dict[str, Any] | None:
        """Return the draw that gives ``texts``; None if a value is missing or outside its range."""
        drawn = {}
        for name, span in self.ranges.items():
            value = _value(span, texts.get(name, ""))
            if value is None:
                return None
            drawn[name] = value
        return drawn


def _up_to(span: SearchedRange, most: int) -> SearchedRange:
    if span.kind == "categorical":
        kept = tuple(text for text in span.values if float(text) <= most)
        return SearchedRange(kind=span.kind, values=kept)
    return SearchedRange(
        kind=span.kind, low=span.low, high=min(span.high, float(most)), scale=span.scale
    )


def _distribution(span: SearchedRange) -> BaseDistribution:
    scale = span.drawn_scale
    if span.kind == "categorical":
        return CategoricalDistribution(list(span.values))
    if span.kind == "integer":
        return IntDistribution(int(span.low), int(span.high), log=scale == "Logarithmic")
    if scale == "ReverseLogarithmic":  # Optuna has none: 1 - x is drawn evenly in its logarithm
        return FloatDistribution(1 - span.high, 1 - span.low, log=True)
    return FloatDistribution(span.low, span.high, log=scale == "Logarithmic")


def _at(distribution: BaseDistribution, side: float) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(side * len(distribution.choices))]
    if isinstance(distribution, IntDistribution):  # each whole number has as much as the others
        low, high = distribution.low - 0.5, distribution.high + 0.5
        drawn = round(_between(low, high, side, log=distribution.log))
        return min(max(drawn, distribution.low), distribution.high)
    assert isinstance(distribution, FloatDistribution)
    return _between(distribution.low, distribution.high, side, log=distribution.log)


def _between(low: float, high: float, side: float, *, log: bool) -> float:
    if not log:
        return low + side * (high - low)
    return math.exp(math.log(low) + side * (math.log(high) - math.log(low)))


def _text(span: SearchedRange, drawn: Any) -> str:
    if span.kind == "categorical":
        return str(drawn)
    if span.kind == "integer":
        return str(int(drawn))
    value = 1 - float(drawn) if span.drawn_scale == "ReverseLogarithmic" else float(drawn)
    # 1 - (1 - x) may leave the range by its last digit.
    return repr(min(max(value, span.low), span.high))


def _value(span: SearchedRange, text: str) -> Any:
    if span.kind == "categorical":
        plain = str(decode(text)) if text not in span.values else text
        return plain if plain in span.values else None
    number = decode(text, times=2)
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    if not span.low <= number <= span.high:
        return None
    if span.kind == "integer":
        return int(number) if number == int(number) else None
    if span.drawn_scale != "ReverseLogarithmic":
        return float(number)
    return min(max(1 - float(number), 1 - span.high), 1 - span.low)
