"""The training jobs of a tuning job: what was tried, and the results, as rows and as a frame.

A trial is one training job of a tuning job. The input is the answer of
``list_training_jobs_for_hyper_parameter_tuning_job``, from AWS or from this machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
import pandas as pd

from sm_entrypoints import contract
from sm_entrypoints.contract.wire import Value, from_wire

Direction = Literal["Minimize", "Maximize"]

TRIAL_COLUMNS = (
    "trial",
    "name",
    "status",
    "objective",
    "metric",
    "created",
    "started",
    "ended",
    "seconds",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One trial as its summary tells it; times are UTC, None where it has not come so far."""

    name: str
    status: str
    objective: float | None
    metric: str
    created: datetime | None
    started: datetime | None
    ended: datetime | None
    hyperparameters: Mapping[str, Value]

    @property
    def seconds(self) -> float | None:
        """Seconds of training, None before its end."""
        return (self.ended - self.started).total_seconds() if self.started and self.ended else None

    def line(self) -> dict[str, Value | None]:
        """Return the trial as ``trials.csv`` and the trial table show it, a column each."""
        return {
            "trial": self.name,
            "status": self.status,
            contract.OBJECTIVE_METRIC: self.objective,
            "seconds": None if self.seconds is None else round(self.seconds, 1),
            **self.hyperparameters,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trials:
    """The trials of one tuning job, in the order of their creation.

    ``frame`` has :data:`TRIAL_COLUMNS` (``trial`` from 1; times are UTC; ``seconds`` of training;
    ``objective`` NaN where there is none). ``parameters`` has a row a trial and a column a tuned
    hyperparameter, as numbers where every value is one, else as text. ``histories`` maps a trial's
    name to its metrics: a column ``epoch`` and one per metric name, such as ``valid:loss``.
    """

    frame: pd.DataFrame
    parameters: pd.DataFrame
    direction: Direction = "Minimize"
    histories: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def metric(self) -> str:
        """Name of the objective metric, ``objective`` while no trial has reported one."""
        names = [name for name in self.frame["metric"] if name]
        return str(names[0]) if names else "objective"

    @property
    def measured(self) -> pd.DataFrame:
        """The rows of ``frame`` that have an objective: only these can be compared."""
        return self.frame[self.frame["objective"].notna()]

    @property
    def best(self) -> int | None:
        """Index (row label) of the best completed trial, None while there is none."""
        done = self.measured[self.measured["status"] == "Completed"]
        if done.empty:
            return None
        objective = done["objective"].to_numpy()
        place = objective.argmin() if self.direction == "Minimize" else objective.argmax()
        return int(done.index.to_numpy()[place])


def read_trial(summary: Mapping[str, Any]) -> Trial:
    """Return the trial that one of TrainingJobSummaries describes.

    All members but the name are optional; times may be datetimes, ISO 8601 or unix seconds.

    Raises:
        ValueError: a summary without TrainingJobName, or a time that is none.
    """
    name = summary.get("TrainingJobName")
    if not name:
        raise ValueError(f"a trial has no TrainingJobName: {dict(summary)!r:.200}")
    final = summary.get("FinalHyperParameterTuningJobObjectiveMetric") or {}
    value = final.get("Value")
    return Trial(
        name=str(name),
        status=str(summary.get("TrainingJobStatus", "")),
        objective=None if value is None else float(value),
        metric=str(final.get("MetricName", "")),
        created=_time(summary.get("CreationTime")),
        started=_time(summary.get("TrainingStartTime")),
        ended=_time(summary.get("TrainingEndTime")),
        hyperparameters=from_wire(summary.get("TunedHyperParameters") or {}),
    )


def read_trials(
    summaries: Sequence[Mapping[str, Any]],
    histories: Mapping[str, pd.DataFrame] | None = None,
    direction: Direction = "Minimize",
) -> Trials:
    """Return the trials that ``summaries`` (TrainingJobSummaries) describe.

    Args:
        summaries: as :func:`read_trial` takes them.
        histories: per training job name, its metrics over epochs.
        direction: of the objective, SageMaker's ``HyperParameterTuningJobObjective.Type``.

    Raises:
        ValueError: as :func:`read_trial`.
    """
    trials = sorted(map(read_trial, summaries), key=_created)
    rows = [
        [number, *(getattr(trial, column) for column in TRIAL_COLUMNS[1:])]
        for number, trial in enumerate(trials, start=1)
    ]
    frame = pd.DataFrame(rows, columns=list(TRIAL_COLUMNS))
    frame["objective"] = frame["objective"].astype("float64").where(np.isfinite)
    frame["seconds"] = frame["seconds"].astype("float64")
    for column in ("created", "started", "ended"):
        frame[column] = pd.to_datetime(frame[column], utc=True)
    return Trials(
        frame=frame,
        parameters=_parameters(trials),
        direction=direction,
        histories=dict(histories or {}),
    )


def _created(trial: Trial) -> tuple[datetime, str]:
    return trial.created or datetime.max.replace(tzinfo=UTC), trial.name


def _time(value: object) -> datetime | None:
    """Return a time stamp as boto3 gives it (datetime) or as JSON keeps it (text, seconds)."""
    if value is None or value == "":
        return None
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    try:
        stamp = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise ValueError(f"a time must be ISO 8601 or unix seconds, but got {value!r}") from error
    return stamp.replace(tzinfo=UTC) if stamp.tzinfo is None else stamp.astimezone(UTC)


def _parameters(trials: Sequence[Trial]) -> pd.DataFrame:
    names = sorted({name for trial in trials for name in trial.hyperparameters})
    frame = pd.DataFrame(index=range(len(trials)))
    for name in names:
        values = [trial.hyperparameters.get(name) for trial in trials]
        if any(isinstance(value, bool | str) for value in values):
            frame[name] = pd.Series([_as_text(value) for value in values], dtype="object")
        else:
            frame[name] = pd.Series(values, dtype="float64")
    return frame


def _as_text(value: Value | None) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, int | float) else value or ""
