"""The trials of a tuning job as its operations report them: summaries, counters, the best.

Everything is computed from the training jobs' records each time: a tuning job's record lists its
trials and their values, but not their progress.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from platforms.job_status import TERMINAL
from platforms.local.context import LocalContext
from platforms.local.job_tree import JobTree
from platforms.local.training.jobs import TrainingJobs
from platforms.local.training.metrics import logged_points
from platforms.local.training.status import KIND
from platforms.local.tuning.request import objective

Summary = dict[str, Any]
Request = Mapping[str, Any]

_FIELDS = (
    "TrainingJobName",
    "TrainingJobArn",
    "CreationTime",
    "TrainingStartTime",
    "TrainingEndTime",
    "TrainingJobStatus",
    "FailureReason",
)
_COUNTED = {
    "Completed": "Completed",
    "InProgress": "InProgress",
    "Stopping": "InProgress",
    "Stopped": "Stopped",
    # Nothing that fails on one machine is the fault of the service, so nothing is retried.
    "Failed": "NonRetryableError",
}


def exists(context: LocalContext, name: str) -> bool:
    """Tell whether a trial's training job has been created."""
    return context.records.find(KIND, name) is not None


def summaries(context: LocalContext, tuning_job: Request) -> list[Summary]:
    """Return ``HyperParameterTrainingJobSummary`` of every trial there is, in order."""
    return [
        summary(context, tuning_job, trial)
        for trial in tuning_job["Local"]["Trials"]
        if exists(context, trial["Name"])
    ]


def summary(context: LocalContext, tuning_job: Request, trial: Request) -> Summary:
    """Return the summary of one trial; a job found dead is recorded as failed.

    Raises:
        ClientError: the training job does not exist.
    """
    job = TrainingJobs(context).describe_training_job(TrainingJobName=trial["Name"])
    members: Summary = {key: job[key] for key in _FIELDS if key in job}
    members["TunedHyperParameters"] = trial["HyperParameters"]
    definition = tuning_job["TrainingJobDefinition"]
    if "DefinitionName" in definition:
        members["TrainingJobDefinitionName"] = definition["DefinitionName"]
    if job["TrainingJobStatus"] not in TERMINAL:
        return {**members, "ObjectiveStatus": "Pending"}
    goal = objective(tuning_job)
    final = {each["MetricName"]: each["Value"] for each in job.get("FinalMetricDataList", [])}
    if goal["MetricName"] not in final or job["TrainingJobStatus"] == "Failed":
        return {**members, "ObjectiveStatus": "Failed"}
    metric = {**goal, "Value": final[goal["MetricName"]]}
    return {
        **members,
        "FinalHyperParameterTuningJobObjectiveMetric": metric,
        "ObjectiveStatus": "Succeeded",
    }


def value_of(found: Summary) -> float | None:
    """Return the final objective of a trial, or None when it has none."""
    metric = found.get("FinalHyperParameterTuningJobObjectiveMetric")
    return None if metric is None else float(metric["Value"])


def status_counters(found: Iterable[Summary]) -> dict[str, int]:
    """Return ``TrainingJobStatusCounters``."""
    counters = dict.fromkeys(
        ("Completed", "InProgress", "RetryableError", "NonRetryableError", "Stopped"), 0
    )
    for each in found:
        counters[_COUNTED[each["TrainingJobStatus"]]] += 1
    return counters


def objective_counters(found: Iterable[Summary]) -> dict[str, int]:
    """Return ``ObjectiveStatusCounters``."""
    counters = dict.fromkeys(("Succeeded", "Pending", "Failed"), 0)
    for each in found:
        counters[each["ObjectiveStatus"]] += 1
    return counters


def best(found: Iterable[Summary], *, maximize: bool) -> Summary | None:
    """Return the trial with the best final objective, the first one of equals, or None.

    Trials that early stopping ended count as well: their model is what they reached by then.
    """
    judged = [each for each in found if value_of(each) is not None]
    sign = -1.0 if maximize else 1.0
    return min(judged, key=lambda each: sign * (value_of(each) or 0.0), default=None)


def objective_values(context: LocalContext, tuning_job: Request, name: str) -> list[float]:
    """Return all values of the objective that a trial has printed so far, in order."""
    metric = objective(tuning_job)["MetricName"]
    points = logged_points(JobTree(folder=context.records.folder(KIND, name)))
    return [float(point["value"]) for point in points if point["name"] == metric]
