"""The counts of a tuning job, while it runs and after it has ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from platforms.job_status import TERMINAL
from platforms.local.records import Record
from platforms.local.tuning import trials as tuning_trials
from platforms.local.tuning.trials import Summary


def progress(record: Record, trials: Sequence[Summary], *, maximize: bool) -> dict[str, Any]:
    """Return the counters, the best trial, what was consumed, and how long nothing improved."""
    ended = [each for each in trials if each["TrainingJobStatus"] in TERMINAL]
    in_order = sorted(ended, key=lambda each: each["TrainingEndTime"])
    best = tuning_trials.best(in_order, maximize=maximize)
    since = len(in_order) - 1 - in_order.index(best) if best is not None else len(in_order)
    counts: dict[str, Any] = {
        **counters(trials),
        "TuningJobCompletionDetails": {"NumberOfTrainingJobsObjectiveNotImproving": since},
        "ConsumedResources": {"RuntimeInSeconds": _seconds(record)},
    }
    return counts if best is None else {**counts, "BestTrainingJob": best}


def counters(trials: Sequence[Summary]) -> dict[str, Any]:
    """Return how many trials are in which status, and have an objective."""
    return {
        "TrainingJobStatusCounters": tuning_trials.status_counters(trials),
        "ObjectiveStatusCounters": tuning_trials.objective_counters(trials),
    }


def _seconds(record: Record) -> int:
    """Return the wall time of a tuning job so far, in whole seconds."""
    started = datetime.fromisoformat(record["CreationTime"])
    end = record.get("HyperParameterTuningEndTime")
    ended = datetime.fromisoformat(end) if end else datetime.now(UTC)
    return max(0, round((ended - started).total_seconds()))
