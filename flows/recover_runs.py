"""Resume runs whose process died: they adopt the jobs they had launched."""

from __future__ import annotations

from prefect import flow

from tasks.cancelled_runs import end_cancelled_runs
from tasks.parameters.run import RecoverParameters
from tasks.recovery import mark_dead_runs, restart_crashed_runs


@flow(name="recover-runs", retries=0, persist_result=False)
def recover_runs(request: RecoverParameters | None = None) -> list[str]:
    """Mark dead runs of deployments as crashed, restart crashed ones; return their names.

    A cancelled run is not restarted: whatever of it is still running is ended.
    """
    chosen = request or RecoverParameters()
    mark_dead_runs(chosen)
    end_cancelled_runs(chosen)
    return restart_crashed_runs(chosen)
