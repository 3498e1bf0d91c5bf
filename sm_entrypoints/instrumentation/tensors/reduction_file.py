"""The lines of ``reductions.jsonl``: written within a quota, and passed to observers."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sm_entrypoints.contract.tensor_records import (
    REDUCTION_COLUMNS,
    STATISTICS,
    TensorRecord,
    TensorStatistics,
)
from sm_entrypoints.instrumentation.line_writer import LineWriter, Place
from sm_entrypoints.instrumentation.quota import Quota

LOSSES = "losses"
# With the histograms and smdebug's tensors, a run's debug data stay below 5 MB.
DEFAULT_QUOTA_BYTES = 2_500_000
# A line has these even when they are null. Others are left out then: a loss has one number only.
_ALWAYS = frozenset(("mean", "nan", "inf"))

Observe = Callable[[TensorRecord], None]


class ReductionFile:
    """Append tensor records to a file; half of the bytes are for losses, half for the rest.

    ``observe`` gets every record, also those that the quota drops or thins.
    """

    def __init__(self, path: Path, *, quota_bytes: int, observe: Observe | None) -> None:
        self._writer = LineWriter(path)
        self._observe = observe
        self._losses = Quota(quota_bytes // 2)
        self._tensors = Quota(quota_bytes // 2)
        self._loss_lines = 0
        self.records = 0

    @property
    def thinning(self) -> int:
        """By how much samples of tensors are to be further apart."""
        return self._tensors.thinning

    def add_loss(self, place: Place, loss: float) -> None:
        """Add a step's loss. Raises OSError when the file cannot be written."""
        nan, inf = int(math.isnan(loss)), int(math.isinf(loss))
        statistics = TensorStatistics(mean=None if nan or inf else loss, nan=nan, inf=inf)
        self._loss_lines += 1
        thinned = self._loss_lines % self._losses.thinning != 0
        record = self._show(place, LOSSES, "loss", statistics)
        # A loss that is no number is the news of the run.
        if thinned and not (nan or inf):
            self._losses.dropped += 1
        else:
            self._write(self._losses, record)

    def add(self, place: Place, collection: str, name: str, statistics: TensorStatistics) -> None:
        """Add the statistics of a tensor. Raises OSError when the file cannot be written."""
        self._write(self._tensors, self._show(place, collection, name, statistics))

    def close(self) -> None:
        """Flush the file."""
        self._writer.close()

    def summary(self) -> dict[str, int]:
        """Return the ``reductions`` member of ``summary.json``."""
        dropped = self._losses.dropped + self._tensors.dropped
        size = self._writer.bytes_written
        return {"records": self.records, "dropped": dropped, "bytes": size}

    def _show(
        self, place: Place, collection: str, name: str, statistics: TensorStatistics
    ) -> TensorRecord:
        numbers: dict[str, Any] = {
            member: _short(getattr(statistics, member)) for member in STATISTICS
        }
        record = TensorRecord(**place._asdict(), collection=collection, name=name, **numbers)
        if self._observe is not None:
            self._observe(record)
        return record

    def _write(self, quota: Quota, record: TensorRecord) -> None:
        members = ((name, getattr(record, name)) for name in REDUCTION_COLUMNS)
        line = {name: value for name, value in members if value is not None or name in _ALWAYS}
        self.records += quota.write(self._writer, line)


def _short(value: float | int | None) -> float | int | None:
    """Keep six significant digits: half the bytes, and more than statistics deserve."""
    if not isinstance(value, float):
        return value
    # The standard deviation of doubles may overflow, and JSON has no infinity.
    return float(f"{value:.6g}") if math.isfinite(value) else None
