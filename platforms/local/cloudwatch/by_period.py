"""Statistics of samples per period, cut and counted as in CloudWatch. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence

from platforms.local.cloudwatch.samples import Sample

Statistic = Callable[[Sequence[float]], float]

_BASIC: dict[str, Statistic] = {
    "Average": lambda values: math.fsum(values) / len(values),
    "Maximum": max,
    "Minimum": min,
    "SampleCount": len,
    "Sum": math.fsum,
}
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")
_MINUTE = 60
# Periods below a minute that CloudWatch takes; all others are whole minutes.
_SHORT = (1, 5, 10, 20, 30)

NAMES = (*_BASIC, "p0 to p100")


def statistic(name: str) -> Statistic | None:
    """Return a statistic by CloudWatch's name (``Average``, ``p90``); None for one not here."""
    if name in _BASIC:
        return _BASIC[name]
    match = _PERCENTILE.fullmatch(name)
    if match is None:
        return None
    share = float(match.group(1)) / 100
    return lambda values: _percentile(values, share)


def period_problem(seconds: int) -> str | None:
    """Return what is wrong with a period, in CloudWatch's words; None when nothing is."""
    if seconds in _SHORT or (seconds > 0 and seconds % _MINUTE == 0):
        return None
    return (
        f"The parameter Period must be a multiple of 60, or one of {list(_SHORT)}: it is {seconds}."
    )


def rounded_start(start: float, period: int) -> float:
    """Return where the first period begins: the clock's last whole minute, or short period."""
    step = min(period, _MINUTE)
    return math.floor(start / step) * step


def values_by_period(
    samples: Iterable[Sample], start: float, end: float, period: int
) -> list[tuple[float, list[float]]]:
    """Return the values of each period that has any, with the time when it begins.

    Periods count from ``start``; ``end`` is the first time that does not belong.
    """
    periods: dict[float, list[float]] = {}
    for sample in samples:
        if start <= sample.time < end:
            begin = start + math.floor((sample.time - start) / period) * period
            periods.setdefault(begin, []).append(sample.value)
    return sorted(periods.items())


def _percentile(values: Sequence[float], share: float) -> float:
    """Return a percentile; between two values, by the distance from each."""
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    low = math.floor(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)
