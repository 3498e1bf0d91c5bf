"""Status of a tuning job's record, and the supervisor that it has while it is not final."""

from __future__ import annotations

import os
import sys

from platforms.local.context import LocalContext, supervisor_environment
from platforms.local.process import ProcessId, alive, spawn_detached
from platforms.local.records import Kind, Record, now
from platforms.local.training_status import MAX_REASON, TERMINAL
from platforms.settings import PROJECT_ROOT

KIND: Kind = "tuning-jobs"
_SUPERVISOR_LOG = "supervisor.txt"
# A supervisor that dies this often is not being killed: something is wrong with the job.
_MAX_STARTS = 20


def ensure_supervisor(context: LocalContext, name: str) -> Record:
    """Return the record of a tuning job, with a new supervisor if it needs one and has none.

    Under the record's lock, so of any number of callers one starts it; a supervisor that was
    started and not recorded (its starter was killed) finds that out and ends.

    Raises:
        Missing: there is no such tuning job.
    """
    record = context.records.read(KIND, name)
    if not _needs_supervisor(record):
        return record

    def start(newest: Record) -> Record:
        if not _needs_supervisor(newest):
            return newest
        local = newest["Local"]
        folder = context.records.folder(KIND, name)
        if local["Starts"] >= _MAX_STARTS:
            reason = f"its supervisor died {_MAX_STARTS} times; see {folder / _SUPERVISOR_LOG}"
            return ended(newest, "Failed", reason)
        process = spawn_detached(
            [sys.executable, "-m", "platforms.local.tuning_supervisor", str(context.home), name],
            env=supervisor_environment(os.environ, s3_endpoint=local.get("S3Endpoint")),
            log=folder / _SUPERVISOR_LOG,
            cwd=PROJECT_ROOT,
        )
        started = {"Supervisor": process.to_record(), "Starts": local["Starts"] + 1}
        return {**newest, "Local": {**local, **started}}

    return context.records.update(KIND, name, start)


def ended(record: Record, status: str, reason: str | None = None) -> Record:
    """Return the record in a final status; a job that has one already stays as it is."""
    if record["HyperParameterTuningJobStatus"] in TERMINAL:
        return record
    moment = now()
    return {
        **record,
        "HyperParameterTuningJobStatus": status,
        "LastModifiedTime": moment,
        "HyperParameterTuningEndTime": moment,
        **({"FailureReason": reason[:MAX_REASON]} if reason else {}),
    }


def _needs_supervisor(record: Record) -> bool:
    if record["HyperParameterTuningJobStatus"] in TERMINAL:
        return False
    supervisor = record["Local"]["Supervisor"]
    return supervisor is None or not alive(ProcessId.from_record(supervisor))
