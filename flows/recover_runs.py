"""Resume runs whose process died: they adopt their jobs; bring endpoints back after a restart."""

from __future__ import annotations

import time
from typing import Any

from prefect import flow, get_run_logger, runtime

from flows.naming import named
from platforms import Settings
from platforms.locks import held_if_free
from platforms.privacy import make_home
from tasks.cancelled_runs import end_cancelled_runs
from tasks.events import tell_of_ending_endpoints
from tasks.parameters.groups import Recover
from tasks.parameters.upkeep import RecoverParameters
from tasks.recovery import mark_dead_runs, mark_killed_recovery, restart_crashed_runs
from tasks.reviving import look_at_jobs, revive_lost_endpoints
from tasks.runs.recovery_note import forget_recovery
from tasks.unanswered import close_unanswered


def _story(**_: Any) -> str:
    return "look for interrupted runs"


@flow(name="recover-runs", flow_run_name=named(_story), retries=0, persist_result=False)
def recover_runs(request: Recover = RecoverParameters()) -> list[str]:
    """Mark dead runs of deployments as crashed, restart crashed ones; return their names.

    A cancelled run is not restarted: whatever of it is still running is ended. Endpoints whose
    processes are gone come back, until their time has passed. A run whose question nobody answered
    in time ends as refused. Endpoints that end soon are reported.

    Only one works on this machine at a time: where another one does, this one leaves it to that.
    """
    settings = Settings()
    make_home(settings.home)
    # The kernel releases it when its process ends, however that ends.
    with held_if_free(settings.home / ".recovery.lock") as ours:
        if ours:
            return _recover(request)
    get_run_logger().info("another recovery is at work on this machine, so this one does nothing")
    return []


def _recover(request: RecoverParameters) -> list[str]:
    mark_killed_recovery(str(runtime.flow_run.id))
    dead = mark_dead_runs(request)
    end_cancelled_runs(request)
    close_unanswered()
    if dead:  # a killed process may be marked twice; the next recovery would come too late
        time.sleep(request.settled_seconds)
    restarted = restart_crashed_runs(request)
    look_at_jobs()
    revive_lost_endpoints()
    tell_of_ending_endpoints()
    forget_recovery(Settings())
    return restarted
