"""Training jobs that nobody runs: their starter died before, or their supervisor later."""

from __future__ import annotations

from datetime import UTC, datetime

from platforms.local.debugger.rule_statuses import UNJUDGED, closed
from platforms.local.records import Record
from platforms.local.training.status import end, fail
from platforms.processes.process import ProcessId, alive

# Between a record and the first sign of its supervisor, where the starter is not known.
_START_SECONDS = 60.0


def left_unstarted(record: Record) -> bool:
    """Say whether a job waits for a supervisor that its starter did not live to start."""
    local = record["Local"]
    if record["TrainingJobStatus"] != "InProgress" or "Supervisor" in local:
        return False
    starter = local.get("Starter")  # earlier versions did not note it
    return starter is not None and not alive(ProcessId.from_record(starter))


def abandoned(record: Record) -> bool:
    """Say whether a job has lost its supervisor, or never had one for too long."""
    supervisor = record["Local"].get("Supervisor")
    if supervisor is not None:
        return not alive(ProcessId.from_record(supervisor))
    age = datetime.now(UTC) - datetime.fromisoformat(record["CreationTime"])
    return age.total_seconds() > _START_SECONDS


def fail_abandoned(newest: Record, reason: str) -> Record:
    """Return the record as ``Failed`` if it is abandoned; one that was to stop, as ``Stopped``."""
    # Read again under the lock: the supervisor may have ended well a moment ago.
    if not abandoned(newest):
        return newest
    if newest["TrainingJobStatus"] == "Stopping":
        over = newest["SecondaryStatus"] == "MaxRuntimeExceeded"
        secondary = "MaxRuntimeExceeded" if over else "Stopped"
        return closed(end(newest, "Stopped", SecondaryStatus=secondary), UNJUDGED)
    return closed(fail(newest, reason), UNJUDGED)
