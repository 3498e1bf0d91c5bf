"""The training jobs of a tuning job as a frame: what was tried, and the results.

A trial is one training job of a tuning job. The input is the answer of
``list_training_jobs_for_hyper_parameter_tuning_job``, from AWS or from this machine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import pandas as pd

from sm_entrypoints.contract.wire import decode, is_sagemakers

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


def read_trials(
    summaries: Sequence[Mapping[str, Any]],
    histories: Mapping[str, pd.DataFrame] | None = None,
    direction: Direction = "Minimize",
) -> Trials:
    """Return the trials that ``summaries`` (TrainingJobSummaries) describe.

    Args:
        summaries: dicts with TrainingJobName, TrainingJobStatus, TunedHyperParameters,
            FinalHyperParameterTuningJobObjectiveMetric and times; all but the name are optional.
        histories: per training job name, its metrics over epochs.
        direction: of the objective, SageMaker's ``HyperParameterTuningJobObjective.Type``.

    Raises:
        ValueError: a summary without TrainingJobName, or a time that is none.
    """
    ordered = sorted(summaries, key=lambda summary: _sort_key(summary))
    rows = [_row(number, summary) for number, summary in enumerate(ordered, start=1)]
    frame = pd.DataFrame(rows, columns=list(TRIAL_COLUMNS))
    frame["objective"] = frame["objective"].astype("float64")
    frame["seconds"] = frame["seconds"].astype("float64")
    for column in ("created", "started", "ended"):
        frame[column] = pd.to_datetime(frame[column], utc=True)
    return Trials(
        frame=frame,
        parameters=_parameters([summary.get("TunedHyperParameters", {}) for summary in ordered]),
        direction=direction,
        histories=dict(histories or {}),
    )


def plain_value(text: object) -> float | str:
    """Return a hyperparameter as intended: a number if it reads as one, without JSON quotes.

    SageMaker hands categorical values back quoted twice (``'"4"'``).
    """
    value = decode(text, times=2)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return str(value).lower() if isinstance(value, bool) else str(value)
    return float(value)


def _sort_key(summary: Mapping[str, Any]) -> tuple[datetime, str]:
    created = _time(summary.get("CreationTime"))
    return created or datetime.max.replace(tzinfo=UTC), str(summary.get("TrainingJobName", ""))


def _row(number: int, summary: Mapping[str, Any]) -> dict[str, Any]:
    name = summary.get("TrainingJobName")
    if not name:
        raise ValueError(f"trial {number} has no TrainingJobName: {dict(summary)!r:.200}")
    final = summary.get("FinalHyperParameterTuningJobObjectiveMetric") or {}
    started, ended = _time(summary.get("TrainingStartTime")), _time(summary.get("TrainingEndTime"))
    return {
        "trial": number,
        "name": str(name),
        "status": str(summary.get("TrainingJobStatus", "")),
        "objective": _finite(final.get("Value")),
        "metric": str(final.get("MetricName", "")),
        "created": _time(summary.get("CreationTime")),
        "started": started,
        "ended": ended,
        "seconds": (ended - started).total_seconds() if started and ended else math.nan,
    }


def _finite(value: object) -> float:
    number = float(value) if isinstance(value, int | float | str) else math.nan
    return number if math.isfinite(number) else math.nan


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


def _parameters(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    names = sorted({name for row in rows for name in row if not is_sagemakers(name)})
    frame = pd.DataFrame(index=range(len(rows)))
    for name in names:
        values = [plain_value(row[name]) if name in row else None for row in rows]
        if all(value is None or isinstance(value, float) for value in values):
            frame[name] = pd.Series(values, dtype="float64")
        else:
            frame[name] = pd.Series(
                ["" if value is None else _as_text(value) for value in values], dtype="object"
            )
    return frame


def _as_text(value: float | str) -> str:
    return f"{value:g}" if isinstance(value, float) else value
