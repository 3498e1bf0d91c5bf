"""Status of a tuning job's record, and its supervisor until the status is final."""

from __future__ import annotations

from platforms.job_status import TERMINAL
from platforms.local.context import LocalContext
from platforms.local.records import Kind, Record, now
from platforms.local.supervision import Supervised
from platforms.local.training.status import MAX_REASON

KIND: Kind = "tuning-jobs"


def ensure_supervisor(context: LocalContext, name: str) -> Record:
    """Return the record of a tuning job, with a new supervisor if it needs one and has none.

    Raises:
        Missing: there is no such tuning job.
    """
    return _SUPERVISED.ensure(context, name)


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


_SUPERVISED = Supervised(
    kind=KIND,
    module="platforms.local.tuning.supervisor",
    status="HyperParameterTuningJobStatus",
    failed=lambda record, reason: ended(record, "Failed", reason),
)
