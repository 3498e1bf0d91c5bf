"""Status of a tuning job's record, and its supervisor until the status is final."""

from __future__ import annotations

from platforms.job_status import TERMINAL
from platforms.local.records import Kind, Record, now
from platforms.local.supervision import Supervised
from platforms.local.training.status import MAX_REASON

KIND: Kind = "tuning-jobs"


def ended(record: Record, status: str, reason: str | None = None) -> Record:
    """Return the record in a final status; a job that already has one stays unchanged."""
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


SUPERVISED = Supervised(
    kind=KIND,
    module="platforms.local.tuning.supervisor",
    status="HyperParameterTuningJobStatus",
    failed=lambda record, reason: ended(record, "Failed", reason),
)
