"""How much better heads get with more pictures, and what twice as many would bring.

For every fold, heads are fitted to a share of the other folds and asked about this one. Errors of
learners fall as a power of the number of examples (Hestness et al., arXiv:1712.00409; Viering and
Loog, arXiv:2103.10948). The fit is repeated on resampled pictures, which says how sure it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from sm_entrypoints.examination.clock import Deadline
from sm_entrypoints.examination.heads import fit_heads
from sm_entrypoints.examination.pool import Pool
from sm_entrypoints.examination.wrong_labels import Judged

SHARES = (0.125, 0.25, 0.5, 1.0)
# Exponents of errors that were measured lie between; 0.5 is that of pure noise.
_EXPONENTS = np.linspace(0.1, 1.5, 29)
_RESAMPLES = 200
# The middle 80% of the resampled gains is what "±" means.
_TAIL = 10.0
# Points of accuracy: a range wider than this to either side says nothing.
_WIDEST = 0.05
# Fewer examined pictures than this, or fewer of a class to learn from, make no curve.
_LEAST_EXAMINED = 60
_LEAST_OF_A_CLASS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """Mean accuracy (0..1) after learning from so many pictures, and its standard error."""

    pictures: int
    accuracy: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningCurve:
    """The curve, and what twice the pictures of its last point would bring, in accuracy (0..1).

    ``why_not`` says why nothing can be told; ``gain`` and ``spread`` (half of the range that holds
    it in four of five cases) are None then.
    """

    points: tuple[CurvePoint, ...]
    gain: float | None = None
    spread: float | None = None
    why_not: str = ""


def learning_curve(pool: Pool, judged: Judged, deadline: Deadline) -> LearningCurve:
    """Return the curve of heads on the features of ``pool``.

    Raises:
        OutOfTimeError: it takes too long.
    """
    counts = torch.bincount(pool.labels, minlength=len(pool.classes))
    shares = [share for share in SHARES if float(counts.float().mean()) * share > _LEAST_OF_A_CLASS]
    if len(pool) < _LEAST_EXAMINED or len(shares) < 3:
        return LearningCurve(points=(), why_not="there are too few pictures")
    right = _right(pool, judged, shares, deadline)
    folds = int(judged.folds.max()) + 1
    whole = len(pool) * (folds - 1) / folds
    sizes = np.array([share * whole for share in shares])
    points = tuple(
        CurvePoint(
            pictures=round(float(size)),
            accuracy=float(row.mean()),
            error=float(row.std() / len(row) ** 0.5),
        )
        for size, row in zip(sizes, right, strict=True)
    )
    if not judged.knows:
        return LearningCurve(points=points, why_not="these features say nothing about the labels")
    return _extrapolated(points, sizes, right)


def _right(
    pool: Pool, judged: Judged, shares: Sequence[float], deadline: Deadline
) -> NDArray[np.float64]:
    """Return which pictures (columns) heads name right that learned from each share of others."""
    folds = np.unique(judged.folds)
    learns = torch.zeros(len(shares) * len(folds), len(pool), dtype=torch.bool)
    for place, (share, fold) in enumerate(product(shares, folds)):
        others = np.flatnonzero(judged.folds != fold)
        learns[place, _some(others, pool, share, seed=int(fold))] = True
    heads = fit_heads(
        pool.numbers,
        pool.labels,
        learns,
        classes=len(pool.classes),
        penalties=judged.penalty,
        deadline=deadline,
    )
    right = np.zeros((len(shares), len(pool)))
    for place, (row, fold) in enumerate(product(range(len(shares)), folds)):
        held = torch.from_numpy(judged.folds == fold)
        named = heads.one(place).probabilities(pool.numbers[held]).argmax(1)
        right[row, held.numpy()] = (named == pool.labels[held]).numpy()
    return right


def _some(rows: NDArray[np.int64], pool: Pool, share: float, *, seed: int) -> NDArray[np.int64]:
    """Return a share of ``rows``, the same share of each class, and at least one of it."""
    if share >= 1:
        return rows
    generator, labels = np.random.default_rng(seed), pool.labels.numpy()[rows]
    parts = []
    for label in np.unique(labels):
        members = generator.permutation(rows[labels == label])
        # Rounded at random, so that small classes keep their share on average.
        count = int(share * len(members) + generator.random())
        parts.append(members[: max(1, count)])
    return np.concatenate(parts)


def _extrapolated(
    points: Sequence[CurvePoint], sizes: NDArray[np.float64], right: NDArray[np.float64]
) -> LearningCurve:
    generator = np.random.default_rng(0)
    gains = []
    for _ in range(_RESAMPLES):
        drawn = generator.integers(right.shape[1], size=right.shape[1])
        errors = 1 - right[:, drawn].mean(axis=1)
        gains.append(_gain(sizes, errors))
    low, high = np.percentile(gains, [_TAIL, 100 - _TAIL])
    gain, spread = _gain(sizes, 1 - right.mean(axis=1)), float(high - low) / 2
    if spread > _WIDEST:
        why = f"the pictures are too few to tell (±{100 * spread:.0f} points)"
        return LearningCurve(points=tuple(points), why_not=why)
    return LearningCurve(points=tuple(points), gain=gain, spread=spread)


def _gain(sizes: NDArray[np.float64], errors: NDArray[np.float64]) -> float:
    """Return by how much the error falls with twice the last size: of a + b·n^-c, a and b ≥ 0."""
    scaled, best = sizes / sizes[-1], (np.inf, 0.0)
    for exponent in _EXPONENTS:
        powers = scaled**-exponent
        spread = powers - powers.mean()
        slope = max(float(spread @ (errors - errors.mean()) / (spread @ spread)), 0.0)
        floor = float(errors.mean() - slope * powers.mean())
        if floor < 0:
            floor, slope = 0.0, float(powers @ errors / (powers @ powers))
        left = float(((floor + slope * powers - errors) ** 2).sum())
        # Of curves that fit alike the flatter one, which promises less.
        if left < best[0] - 1e-9:
            best = (left, slope * (1 - 2.0**-exponent))
    return best[1]
