"""Turn tensors saved by smdebug into the statistics that rules and reports read.

smdebug's own ``create_trial`` reads the values, one tensor at a time, from a staged folder (see
:mod:`sm_entrypoints.imported.index`). Both raw tensors and those reduced when saved are read.
"""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sm_entrypoints.contract import REDUCTIONS_FILE
from sm_entrypoints.contract.tensor_records import TensorStatistics
from sm_entrypoints.imported.index import SavedStep, StagedTrial
from sm_entrypoints.imported.names import collection_of
from sm_entrypoints.instrumentation.line_writer import Place
from sm_entrypoints.instrumentation.smdebug.saved_tensors import import_smdebug
from sm_entrypoints.instrumentation.tensors.activations import RELU_ACTIVE, SATURATING
from sm_entrypoints.instrumentation.tensors.parameters import update_ratio
from sm_entrypoints.instrumentation.tensors.reduction_file import ReductionFile
from sm_entrypoints.instrumentation.tensors.summary import Values, describe, sampled, summarize

# The report shows them all; a page of 2 MB is the aim.
QUOTA_BYTES = 6_000_000
READ_SECONDS = 120.0
_PROGRESS_SECONDS = 2.0
_ACTIVE = {"relu_output": RELU_ACTIVE, **dict(SATURATING.values())}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedTensors:
    """What was read: ``losses`` by epoch and mode, counts, and what was not, in sentences.

    ``quota`` is the ``reductions`` member of ``summary.json``.
    """

    losses: Mapping[tuple[int, str], list[float]]
    steps: Mapping[str, int]
    quota: Mapping[str, int]
    notes: tuple[str, ...]


class TensorImport:
    """Read a staged trial and write ``reductions.jsonl`` into ``folder``.

    The folder must exist. After ``READ_SECONDS`` no more than losses are read.
    """

    def __init__(self, staged: StagedTrial, folder: Path) -> None:
        # A line for each tensor, and a pause before the last look, for trainings that still run.
        os.environ.setdefault("SMDEBUG_LOG_LEVEL", "error")
        os.environ["SMDEBUG_TRAINING_END_DELAY_REFRESH"] = "0"
        create_trial, self._modes, self.version = import_smdebug()
        self._staged = staged
        self._trial: Any = create_trial(str(staged.folder))
        self._file = ReductionFile(folder / REDUCTIONS_FILE, quota_bytes=QUOTA_BYTES, observe=None)
        self._deadline = time.monotonic() + READ_SECONDS
        self._before: dict[str, tuple[int, Values]] = {}
        self._losses: dict[tuple[int, str], list[float]] = {}
        self._steps: Counter[str] = Counter()
        self._trained = {
            name.removeprefix("gradient/")
            for saved in staged.steps
            for name in saved.names
            if name.startswith("gradient/")
        }
        self._unread = self._late = 0

    def run(self) -> ImportedTensors:
        """Read everything, in the order of time, with progress on stderr.

        Raises:
            OSError: the file cannot be written.
        """
        told = time.monotonic()
        for number, saved in enumerate(self._staged.steps):
            if time.monotonic() - told > _PROGRESS_SECONDS:
                told = time.monotonic()
                print(f"read {number:,} of {len(self._staged.steps):,} steps", file=sys.stderr)
            self._read_step(saved)
        self._file.close()
        return ImportedTensors(
            losses=self._losses,
            steps=dict(self._steps),
            quota=self._file.summary(),
            notes=tuple(self._notes()),
        )

    def _notes(self) -> list[str]:
        notes = []
        if self._unread:
            notes.append(f"{self._unread:,} saved values are broken and were skipped.")
        if self._late:
            notes.append(f"At {self._late:,} steps only the loss was read: it took too long.")
        dropped = self._file.summary()["dropped"]
        if dropped:
            notes.append(f"{dropped:,} statistics were left out: too many for one report.")
        return notes

    def _read_step(self, saved: SavedStep) -> None:
        # Without modes in the script every step is GLOBAL: those are trainings nearly always.
        mode = "TRAIN" if saved.mode == "GLOBAL" else saved.mode
        if mode == "PREDICT":
            return
        place = Place(saved.step, saved.epoch, mode)
        self._steps[mode] += 1
        losses = [name for name in saved.names if self._staged.is_loss(name)]
        if losses:
            self._read_loss(place, losses[0], saved.mode)
        if mode != "TRAIN" or len(saved.names) == len(losses):
            return
        if time.monotonic() > self._deadline:
            self._late += 1
            return
        for name in saved.names:
            collection = collection_of(name, self._staged.collections)
            if collection is not None and name not in losses:
                self._read_tensor(place, collection, name, saved.mode)

    def _read_loss(self, place: Place, name: str, mode: str) -> None:
        value = self._value(name, place.step, mode)
        if not isinstance(value, Tensor) or value.numel() == 0:
            return
        # A loss that was not reduced is the batch's losses.
        loss = float(value.to(torch.float64).mean())
        self._file.add_loss(place, loss)
        self._losses.setdefault((place.epoch, place.mode), []).append(loss)

    def _read_tensor(self, place: Place, collection: str, name: str, mode: str) -> None:
        if collection == "weights" and self._trained and name not in self._trained:
            return  # frozen: our own hook leaves those out too
        value = self._value(name, place.step, mode)
        if isinstance(value, TensorStatistics):
            self._file.add(place, collection, name, value)
        elif value is not None:
            self._file.add(place, collection, name, summarize(value, _ACTIVE.get(collection)))
            if collection == "weights":
                self._read_update(place, name, value)

    def _read_update(self, place: Place, name: str, value: Tensor) -> None:
        """Record the mean change a step since the step that was saved before, as AWS's rule does.

        That one divides the whole change, however many steps it took.
        """
        now = sampled(value).copy()
        step, before = self._before.get(name, (place.step, now))
        self._before[name] = (place.step, now)
        if step < place.step and before.shape == now.shape:
            ratio = describe(update_ratio(before, now) / (place.step - step))
            self._file.add(place, "update_ratios", f"update_ratio/{name}", ratio)

    def _value(self, name: str, step: int, mode: str) -> Tensor | TensorStatistics | None:
        """Return a saved value, or the statistics that were saved in its place; None if broken."""
        try:
            tensor = self._trial.tensor(name)
            reduced = tensor.reduction_values(step, mode=self._modes[mode])
            if reduced:
                return reduced_statistics(reduced)
            array = np.ascontiguousarray(tensor.value(step, mode=self._modes[mode]))
            return torch.from_numpy(array)
        # smdebug raises all kinds of errors over an event file that is damaged.
        except Exception:  # noqa: BLE001
            self._unread += 1
            return None


def reduced_statistics(values: Mapping[tuple[str, bool], Any]) -> TensorStatistics:
    """Return reductions that smdebug saved (name, whether of absolute values) as statistics.

    One that is not finite says that the tensor was not: it counts as one such element.
    """
    numbers = {key: float(np.asarray(value).reshape(-1)[0]) for key, value in values.items()}
    array = np.array(list(numbers.values()))
    finite = {key: value for key, value in numbers.items() if np.isfinite(value)}
    std = finite.get(("std", False))
    variance = finite.get(("variance", False))
    if std is None and variance is not None:
        std = max(variance, 0.0) ** 0.5
    return TensorStatistics(
        mean=finite.get(("mean", False)),
        std=std,
        min=finite.get(("min", False)),
        max=finite.get(("max", False)),
        abs_mean=finite.get(("mean", True)),
        nan=int(np.isnan(array).any()),
        inf=int(np.isinf(array).any()),
    )
