"""Histograms of tensors (``histograms.jsonl``) as values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dashboards.files.reading import Floats, json_rows


class Histogram(NamedTuple):
    """How the finite values of one tensor spread at one step: equal bins from low to high."""

    step: int
    mode: str
    collection: str
    name: str
    low: float
    high: float
    counts: Floats


def read_histograms(path: Path) -> list[Histogram]:
    """Return the histograms of a file in its order; none when there is no such file.

    Raises:
        ValueError: a line is not a histogram; names the file and the line.
    """
    return [
        _histogram(row, f"{path}, line {number}")
        for first, rows in json_rows(path)
        for number, row in enumerate(rows, start=first)
    ]


def _histogram(row: Mapping[str, Any], where: str) -> Histogram:
    try:
        low, high = (float(edge) for edge in row["edges"])
        counts = np.array(row["counts"], dtype="float64")
        step = int(row["step"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{where}: not a histogram ({error!r}): {row!r:.80}") from error
    if counts.ndim != 1 or not len(counts) or not low <= high:
        raise ValueError(f"{where}: a histogram needs counts and edges in order: {row!r:.80}")
    return Histogram(
        step=step,
        mode=str(row.get("mode") or ""),
        collection=str(row.get("collection") or ""),
        name=str(row.get("name") or ""),
        low=low,
        high=high,
        counts=counts,
    )
