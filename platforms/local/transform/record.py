"""Statuses of a transform job's record, and the supervisor that it has while it is not final."""

from __future__ import annotations

import os
import sys
from typing import Any

from platforms.local.context import LocalContext, supervisor_environment
from platforms.local.process import ProcessId, alive, spawn_detached, terminate_session
from platforms.local.records import Kind, Record, now
from platforms.local.training_status import MAX_REASON, TERMINAL
from platforms.settings import PROJECT_ROOT

KIND: Kind = "transform-jobs"
_SUPERVISOR = "platforms.local.transform.supervisor"
_SUPERVISOR_LOG = "supervisor.txt"
# A supervisor that dies this often is not being killed: something is wrong with the job.
_MAX_STARTS = 20


def ensure_supervisor(context: LocalContext, name: str) -> Record:
    """Return a transform job's record, with a new supervisor if it needs one and has none.

    The new one goes on behind the last object whose output was written. Under the record's lock,
    so of any number of callers one starts it; what the dead one left running is ended first.

    Raises:
        Missing: there is no such transform job.
    """
    record = context.records.read(KIND, name)
    if not _needs_supervisor(record):
        return record

    def start(newest: Record) -> Record:
        if not _needs_supervisor(newest):
            return newest
        local, folder = newest["Local"], context.records.folder(KIND, name)
        if local["Supervisor"] is not None:
            terminate_session(ProcessId.from_record(local["Supervisor"]))
        if local["Starts"] >= _MAX_STARTS:
            reason = f"its supervisor died {_MAX_STARTS} times; see {folder / _SUPERVISOR_LOG}"
            return ended(newest, "Failed", f"InternalServerError: {reason}")
        process = spawn_detached(
            [sys.executable, "-m", _SUPERVISOR, str(context.home), name],
            env=supervisor_environment(os.environ, s3_endpoint=local["S3Endpoint"]),
            log=folder / _SUPERVISOR_LOG,
            cwd=PROJECT_ROOT,
        )
        started = {"Supervisor": process.to_record(), "Starts": local["Starts"] + 1}
        return {**newest, "Local": {**local, **started}}

    return context.records.update(KIND, name, start)


def started(record: Record) -> Record:
    """Return the record with the time at which its model server was asked for."""
    return {"TransformStartTime": now(), **record, "LastModifiedTime": now()}


def stopping(record: Record) -> Record:
    """Return the record as one that is to stop; one that has ended stays as it is."""
    if record["TransformJobStatus"] in TERMINAL:
        return record
    return {**record, "TransformJobStatus": "Stopping", "LastModifiedTime": now()}


def ended(record: Record, status: str, reason: str | None = None) -> Record:
    """Return the record in a final status; a job that has one already stays as it is."""
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


def _needs_supervisor(record: Record) -> bool:
    if record["TransformJobStatus"] in TERMINAL:
        return False
    supervisor = record["Local"]["Supervisor"]
    return supervisor is None or not alive(ProcessId.from_record(supervisor))
