"""Statuses of a transform job's record, and its supervisor until the status is final."""

from __future__ import annotations

from typing import Any

from platforms.job_status import TERMINAL
from platforms.local.records import Kind, Record, now
from platforms.local.supervision import Supervised
from platforms.local.training.status import MAX_REASON

KIND: Kind = "transform-jobs"


def started(record: Record) -> Record:
    """Return the record with the time at which its model server was asked for."""
    return {"TransformStartTime": now(), **record, "LastModifiedTime": now()}


def stopping(record: Record) -> Record:
    """Return the record marked to stop; a finished one stays unchanged."""
    if record["TransformJobStatus"] in TERMINAL:
        return record
    return {**record, "TransformJobStatus": "Stopping", "LastModifiedTime": now()}


def ended(record: Record, status: str, reason: str | None = None) -> Record:
    """Return the record in a final status; a job that already has one stays unchanged."""
    if record["TransformJobStatus"] in TERMINAL:
        return record
    moment = now()
    fields: dict[str, Any] = {"FailureReason": reason[:MAX_REASON]} if reason else {}
    return {
        **record,
        "TransformJobStatus": status,
        "LastModifiedTime": moment,
        "TransformEndTime": moment,
        **fields,
    }


# A new supervisor goes on behind the last object whose output was written.
SUPERVISED = Supervised(
    kind=KIND,
    module="platforms.local.transform.supervisor",
    status="TransformJobStatus",
    failed=lambda record, reason: ended(record, "Failed", f"InternalServerError: {reason}"),
    sweeps=True,
)
