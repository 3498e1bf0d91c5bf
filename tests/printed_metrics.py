"""Read the lines of metrics that a job prints, as a reader in Python would."""

from __future__ import annotations

import json
import math

from sm_entrypoints.contract import METRIC_PREFIX


def parse_metrics(line: str) -> dict[str, float] | None:
    """Return the metrics of one line of a log, or None when the line carries none.

    Values that are not finite are dropped, as the regex of :func:`metric_regex` drops them.
    """
    start = line.find(METRIC_PREFIX)
    if start < 0:
        return None
    try:
        # Whole numbers too: one of 400 digits has no float, and isfinite would raise.
        values = json.loads(line[start + len(METRIC_PREFIX) :], parse_int=float)
    except ValueError:
        return None
    if not isinstance(values, dict):
        return None
    return {
        key: value
        for key, value in values.items()
        if isinstance(value, float) and math.isfinite(value)
    }
