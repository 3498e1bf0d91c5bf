"""The output of a packed search: its trials as SageMaker lists a tuning job's, and their epochs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from dashboards.files.trials import read_trials
from sm_entrypoints import contract

# What is kept of a trial's epoch and split, as the metrics of jobs are called.
_MEASURES = ("loss", "accuracy", "top5_accuracy")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackedSearch:
    """What a packed search delivered.

    ``summaries`` are TrainingJobSummaries; ``histories`` a frame by trial's name: a column
    ``epoch`` and one per metric, such as ``valid:loss``.
    """

    summaries: Sequence[Mapping[str, Any]]
    histories: Mapping[str, pd.DataFrame]

    @property
    def best(self) -> Mapping[str, Any] | None:
        """The summary of the best completed trial, None when no trial has an objective."""
        trials = read_trials(self.summaries)
        if trials.best is None:
            return None
        name = trials.frame["name"][trials.best]
        return next(each for each in self.summaries if each["TrainingJobName"] == name)


def read_packed_search(folder: Path) -> PackedSearch:
    """Return what the job wrote into ``folder``; without a file of epochs there are no histories.

    Raises:
        ValueError: there is no trial table, or one of the files is not what the job writes.
    """
    try:
        summaries = json.loads((folder / contract.TRIALS_FILE).read_text("utf-8"))
    except FileNotFoundError:
        raise ValueError(f"the job's output has no {contract.TRIALS_FILE}") from None
    if not isinstance(summaries, list) or not all(isinstance(each, dict) for each in summaries):
        raise ValueError(f"{contract.TRIALS_FILE} is not a list of trials")
    names = [str(summary.get("TrainingJobName", "")) for summary in summaries]
    path = folder / contract.TRIAL_METRICS_FILE
    return PackedSearch(
        summaries=summaries, histories=_histories(path, names) if path.exists() else {}
    )


def _histories(path: Path, names: Sequence[str]) -> dict[str, pd.DataFrame]:
    epochs: dict[str, dict[int, dict[str, float]]] = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            name, epoch = names[row["trial"] - 1], int(row["epoch"])
            values = epochs.setdefault(name, {}).setdefault(epoch, {"epoch": epoch})
            values |= {f"{row['split']}:{m}": row[m] for m in _MEASURES if row.get(m) is not None}
    return {name: pd.DataFrame(list(rows.values())) for name, rows in epochs.items()}
