"""Statuses of a transform job's record, and its supervisor until the status is final."""

from __future__ import annotations

from platforms.job_status import TERMINAL
from platforms.local.records import Kind, Record, now
from platforms.local.supervision import Supervised

KIND: Kind = "transform-jobs"


def started(record: Record) -> Record:
    """Return the record with the time at which its model server was asked for."""
    return {"TransformStartTime": now(), **record, "LastModifiedTime": now()}


def stopping(record: Record) -> Record:
    """Return the record marked to stop; a finished one stays unchanged."""
    if record["TransformJobStatus"] in TERMINAL:
        return record
    return {**record, "TransformJobStatus": "Stopping", "LastModifiedTime": now()}


# A new supervisor goes on behind the last object whose output was written.
SUPERVISED = Supervised(
    kind=KIND,
    module="platforms.local.transform.supervisor",
    prefix="Transform",
    resource="transform-job",
    blames="InternalServerError: ",
    sweeps=True,
)
