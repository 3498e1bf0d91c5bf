"""The ranges of a plan as Optuna's distributions, and draws as texts of the wire."""

from __future__ import annotations

from collections.abc import Mapping
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
