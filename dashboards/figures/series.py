"""Shorten long series enough to draw them, without losing their extremes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from dashboards.files.reading import Floats

MAX_POINTS = 2_000


def downsample(x: Floats, y: Floats, max_points: int = MAX_POINTS) -> tuple[Floats, Floats]:
    """Return at most ``max_points`` of the points (x, y): min and max of each bucket, in order.

    A bucket is a run of neighbouring points, so a single outlier always stays visible. Points
    whose y is NaN lose against any number; a bucket of NaN alone keeps two of them (a gap).

    Raises:
        ValueError: the arrays differ in length, or ``max_points`` is below 2.
    """
    if len(x) != len(y):
        raise ValueError(f"x and y must have the same length, but got {len(x)=} and {len(y)=}")
    if max_points < 2:
        raise ValueError(f"at least 2 points are needed, but got {max_points=}")
    if len(x) <= max_points:
        return x, y
    edges = np.linspace(0, len(x), max_points // 2 + 1).astype(np.int64)
    picked: list[int] = []
    low, high = np.where(np.isnan(y), np.inf, y), np.where(np.isnan(y), -np.inf, y)
    for start, stop in pairwise(edges.tolist()):
        ends = {start + int(low[start:stop].argmin()), start + int(high[start:stop].argmax())}
        picked.extend(sorted(ends))
    return x[picked], y[picked]


def compact(values: Floats, digits: int = 4) -> list[float | int | None]:
    """Return ``values`` in ``digits`` significant digits, as numbers whose JSON is short.

    In a page, short text compresses to a third of what binary floats need. NaN is None (a gap).
    """
    finite = np.isfinite(values) & (values != 0)
    powers = np.floor(np.log10(np.abs(values, where=finite, out=np.ones(len(values)))))
    scales = 10.0 ** (digits - 1 - powers)
    rounded = np.where(finite, np.round(values * scales) / scales, values)
    # Above that, a float's text is shorter, and JSON's writer takes no larger whole numbers.
    whole = (rounded == np.trunc(rounded)) & (np.abs(rounded) < 1e15)
    return [
        None if value != value else int(value) if is_whole else value
        for value, is_whole in zip(
            np.where(np.isinf(rounded), np.nan, rounded).tolist(), whole.tolist(), strict=True
        )
    ]


def bucket_means(values: Floats, buckets: int) -> Floats:
    """Return means of ``buckets`` runs of rows of ``values`` (rows, columns), fewer if short.

    NaN cells are ignored; a bucket of NaN alone is NaN. Sums over columns survive: stacked
    areas of the means add up to the mean of the sum.
    """
    if len(values) <= buckets:
        return values
    starts = bucket_starts(len(values), buckets)
    present = ~np.isnan(values)
    totals = np.add.reduceat(np.where(present, values, 0.0), starts, axis=0)
    counts = np.add.reduceat(present.astype(np.float64), starts, axis=0)
    return np.divide(totals, counts, out=np.full_like(totals, np.nan), where=counts > 0)


def bucket_starts(rows: int, buckets: int) -> npt.NDArray[np.int64]:
    """Return the first row of each of ``buckets`` runs of near equal length (fewer if short)."""
    count = min(rows, buckets)
    return np.linspace(0, rows, count + 1).astype(np.int64)[:-1]


def is_logarithmic(values: Floats) -> bool:
    """Tell whether values span so much that only their logarithm shows them (a factor of 50)."""
    present = values[~np.isnan(values)]
    return bool(len(present) and present.min() > 0 and present.max() / present.min() >= 50)
