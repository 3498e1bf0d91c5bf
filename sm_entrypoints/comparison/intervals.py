"""Confidence intervals for a few noisy measurements, with no unjustified assumptions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass

_LEVEL = 0.95
# Student's t, 97.5% quantile by degrees of freedom from 1 (any table of it).
_STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A value with its interval; ``confidence`` is that of the interval (0 to 1)."""

    value: float
    low: float
    high: float
    confidence: float

    def document(self) -> dict[str, float]:
        """Return the estimate as JSON values."""
        return asdict(self)


def median_estimate(values: Sequence[float]) -> Estimate:
    """Return the median and its sign-test interval, of at least 95% if there are six values.

    The interval between the k-th smallest and the k-th largest of n values misses the median with
    probability 2 P(Binomial(n, 1/2) < k): exact for any distribution, unaffected by single blocks
    that something else on the machine slowed down. With fewer than six values it is their whole
    range, and ``confidence`` says how little that is.

    Raises:
        ValueError: there are no values.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("an estimate needs at least one value, but got none")
    count, rank = len(ordered), 1
    while 2 * (rank + 1) <= count and _confidence(count, rank + 1) >= _LEVEL:
        rank += 1
    return Estimate(
        value=statistics.median(ordered),
        low=ordered[rank - 1],
        high=ordered[count - rank],
        confidence=_confidence(count, rank),
    )


def _confidence(count: int, rank: int) -> float:
    """Return the probability that the median lies between the rank-th values from both ends."""
    missed = sum(math.comb(count, below) for below in range(rank))
    return 1 - math.ldexp(missed, 1 - count)


def mean_estimate(values: Sequence[float]) -> Estimate:
    """Return the mean and its 95% Student interval; for a single value it is unbounded.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("an estimate needs at least one value, but got none")
    mean = statistics.fmean(values)
    if len(values) == 1:
        return Estimate(value=mean, low=-math.inf, high=math.inf, confidence=_LEVEL)
    quantile = _STUDENT[min(len(values) - 1, len(_STUDENT)) - 1]
    half = quantile * statistics.stdev(values) / math.sqrt(len(values))
    return Estimate(value=mean, low=mean - half, high=mean + half, confidence=_LEVEL)
