"""Statuses of a training job: their order, and SageMaker's message for each."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from platforms.job_status import TERMINAL
from platforms.local.records import Kind, Record, now
from platforms.processes.process import ProcessId

KIND: Kind = "training-jobs"

# SageMaker truncates FailureReason at 1,024 characters.
MAX_REASON = 1024

_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


def move(record: Record, secondary: str, *, status: str | None = None) -> Record:
    """Return the record in another secondary status (and status), with the transition noted.

    A job in a terminal status stays unchanged: a late update has no effect.
    """
    if record["TrainingJobStatus"] in TERMINAL:
        return record
    moment = now()
    transitions = [*record["SecondaryStatusTransitions"]]
    if transitions and "EndTime" not in transitions[-1]:
        transitions[-1] = {**transitions[-1], "EndTime": moment}
    transition = {
        "Status": secondary,
        "StartTime": moment,
        "StatusMessage": _MESSAGES[secondary],
    }
    if status in TERMINAL:
        transition["EndTime"] = moment
    return {
        **record,
        "TrainingJobStatus": status or record["TrainingJobStatus"],
        "SecondaryStatus": secondary,
        "SecondaryStatusTransitions": [*transitions, transition],
        "LastModifiedTime": moment,
    }


def end(record: Record, status: str, **fields: Any) -> Record:
    """Return the record in a terminal status, with its times; ``fields`` go in with them.

    ``fields`` may give ``SecondaryStatus`` where it is not the status itself.
    """
    if record["TrainingJobStatus"] in TERMINAL:
        return record
    ended = move(record, fields.pop("SecondaryStatus", status), status=status)
    ended |= {"TrainingEndTime": ended["LastModifiedTime"], **fields}
    if "TrainingStartTime" in ended:
        start = datetime.fromisoformat(ended["TrainingStartTime"])
        seconds = datetime.fromisoformat(ended["TrainingEndTime"]) - start
        # SageMaker bills whole seconds and at least one.
        whole = max(1, round(seconds.total_seconds()))
        ended |= {"TrainingTimeInSeconds": whole, "BillableTimeInSeconds": whole}
    return ended


def fail(record: Record, reason: str, **fields: Any) -> Record:
    """Return the record as ``Failed``, the reason cut to what SageMaker keeps; more as `end`."""
    return end(record, "Failed", FailureReason=reason[:MAX_REASON], **fields)


def with_supervisor(record: Record, process: ProcessId) -> Record:
    """Return the record with the identity of its supervisor; the first one stays."""
    return {**record, "Local": {"Supervisor": process.to_record(), **record["Local"]}}
