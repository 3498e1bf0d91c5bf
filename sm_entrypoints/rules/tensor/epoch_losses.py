"""Mean losses of whole epochs, training and validation, from the losses of single steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sm_entrypoints.contract.tensor_records import TensorRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochMeans:
    """Mean losses of one epoch; ``record`` is its last one."""

    train: float
    valid: float
    record: TensorRecord


class EpochLosses:
    """Adds up losses; an epoch is complete when a record of another one comes.

    An epoch with a loss that is not finite, or without one of the two modes, gives nothing.
    """

    def __init__(self) -> None:
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._last: TensorRecord | None = None

    def add(self, record: TensorRecord) -> EpochMeans | None:
        """Take a loss; return the epoch before, if this one begins another."""
        last = self._last
        done = self.finish() if last is not None and last.epoch != record.epoch else None
        value = math.nan if record.mean is None else record.mean
        self._sums[record.mode] = self._sums.get(record.mode, 0.0) + value
        self._counts[record.mode] = self._counts.get(record.mode, 0) + 1
        self._last = record
        return done

    def finish(self) -> EpochMeans | None:
        """Return the epoch that is open, and forget it."""
        last, means = self._last, {m: s / self._counts[m] for m, s in self._sums.items()}
        self._last, self._sums, self._counts = None, {}, {}
        train, valid = means.get("TRAIN", math.nan), means.get("EVAL", math.nan)
        if last is None or not math.isfinite(train) or not math.isfinite(valid):
            return None
        return EpochMeans(train=train, valid=valid, record=last)
