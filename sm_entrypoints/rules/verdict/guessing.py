"""Whether a share of right answers is more than guessing gives, for a number of pictures.

The best guess is always the most frequent class. A few pictures prove nothing either way; then the
answer is that it is unknown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

# One-sided: chance alone gives more in one of forty trainings.
_SIGNIFICANCE = 0.025
_QUANTILE = 1.96
# So few refute nothing.
_FEWEST = 5
# Up to so many pictures the binomial distribution is summed; above, the normal one is the same.
_SUMMED = 2_000


def best_guess(counts: Mapping[str, int], classes: int) -> float | None:
    """Return the share that naming the most frequent class gets right.

    Args:
        counts: pictures by class; empty where that is unknown.
        classes: how many there are; 0 when unknown. Then they count as equally frequent.
    """
    total = sum(counts.values())
    if total > 0:
        return max(counts.values()) / total
    return 1 / classes if classes > 0 else None


def guessing_loss(counts: Mapping[str, int], classes: int) -> float | None:
    """Return the cross entropy of a guess that uses only the frequencies of the classes.

    None with fewer than two classes, or an unknown number of them.
    """
    total = sum(counts.values())
    shares = [count / total for count in counts.values() if count > 0] if total > 0 else []
    if not shares and classes > 1:
        return math.log(classes)
    return -sum(share * math.log(share) for share in shares) if len(shares) > 1 else None


def better_than_guessing(right: float, pictures: int, guess: float) -> bool | None:
    """Say whether ``right`` of so many pictures is more than guessing; None if unknown.

    False needs proof as well: that the true share is below half of the way from ``guess`` to 1.

    Args:
        right: the share of right answers, 0 to 1.
        pictures: how many were answered.
        guess: the share that guessing gets right.
    """
    if pictures < 1 or not 0 < guess < 1 or not 0 <= right <= 1:
        return None
    if _chance_of(round(right * pictures), pictures, guess) < _SIGNIFICANCE:
        return True
    refuted = pictures >= _FEWEST and _upper_bound(right, pictures) < (1 + guess) / 2
    return False if refuted else None


def _chance_of(hits: int, pictures: int, guess: float) -> float:
    """Return the probability of so many hits or more by guessing."""
    if pictures > _SUMMED:
        mean, spread = pictures * guess, math.sqrt(pictures * guess * (1 - guess))
        return 0.5 * math.erfc((hits - 0.5 - mean) / spread / math.sqrt(2))
    return math.fsum(
        math.exp(
            math.lgamma(pictures + 1)
            - math.lgamma(k + 1)
            - math.lgamma(pictures - k + 1)
            + k * math.log(guess)
            + (pictures - k) * math.log1p(-guess)
        )
        for k in range(hits, pictures + 1)
    )


def _upper_bound(right: float, pictures: int) -> float:
    """Return the upper end of Wilson's interval."""
    square = _QUANTILE**2
    middle = right + square / (2 * pictures)
    spread = _QUANTILE * math.sqrt(right * (1 - right) / pictures + square / (4 * pictures**2))
    return (middle + spread) / (1 + square / pictures)
