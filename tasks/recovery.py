"""Find runs whose process died, and send them back to their worker.

A resumed run keeps its flow run id, so it has the same identity and folder as before, and adopts
the existing jobs (docs/architecture.md). Only runs of deployments can be resumed, since those have
a worker, and only if nobody cancelled them. Prefect Cloud marks dead runs by itself; a self-hosted
server does not.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from uuid import UUID

from prefect import get_client, get_run_logger, task
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterParentTaskRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.events.filters import (
    EventFilter,
    EventNameFilter,
    EventOccurredFilter,
    EventOrder,
    EventResourceFilter,
)
from prefect.exceptions import ObjectNotFound
from prefect.states import AwaitingRetry, Crashed

from platforms import Settings
from sm_entrypoints.contract.kill_points import reach
from tasks.cancelled_runs import SIGHT, TAG, cancelled_by_record
from tasks.cancelling.history import cancel_asked
from tasks.parameters.upkeep import RecoverParameters
from tasks.runs.ownership import DEAD, at_work, note_dead_runs
from tasks.runs.record import find_run, known_run
from tasks.runs.recovery_note import note_recovery
from tasks.runs.task_policy import policy

# Between a run's state Running and the first sign of its process on this machine.
_BEGIN_SECONDS = 30.0
_HEARTBEAT = "prefect.flow-run.heartbeat"


@task(name="mark killed recovery", **policy(60))
def mark_killed_recovery(own: str) -> bool:
    """Mark the recovery before this one as crashed if it was killed; say whether it was.

    For who holds the lock of recoveries, so that nobody else works on it. ``own`` is the flow run
    that notes itself now, until it forgets that.
    """
    before = note_recovery(Settings(), own)
    if before is None:
        return False
    with get_client(sync_client=True) as client, suppress(ObjectNotFound, ValueError):
        state = client.read_flow_run(UUID(before)).state
        if state is not None and state.type is StateType.RUNNING:
            client.set_flow_run_state(UUID(before), Crashed(message=DEAD), force=True)
            return True
    return False


@task(name="mark dead runs", **policy(300))
def mark_dead_runs(request: RecoverParameters) -> list[str]:
    """Mark running runs as crashed whose process is gone, and say so in their records; return
    their names.

    On this machine that can be seen. A run elsewhere gave signs of life, and then none; one that
    never gave any is left alone: its deployment has no heartbeat.
    """
    dead, now = [], datetime.now(UTC)
    with get_client(sync_client=True) as client:
        for run in _deployed_runs(client, StateType.RUNNING, request):
            message = _why_dead(client, run, now, request)
            if message is None:
                continue
            reach("mark a run crashed")
            client.set_flow_run_state(run.id, Crashed(message=message), force=True)
            reach("marked a run crashed")
            get_run_logger().warning("run %s is dead: %s", run.name, message)
            dead.append(run.name)
    note_dead_runs(Settings())
    return dead


def _why_dead(
    client: SyncPrefectClient, run: FlowRun, now: datetime, request: RecoverParameters
) -> str | None:
    """Say why a run that is said to run is dead; None for one that may live."""
    working = _at_work(run)
    if working or run.state is None:
        return None
    # One that was restarted a moment ago has had no time to begin, or to give a sign of its own.
    restarted = run.state.timestamp
    if working is False and _age(restarted, now) >= _BEGIN_SECONDS:
        return DEAD
    last = _last_heartbeat(client, run, now)
    if last is None or _age(max(last, restarted), now) < request.silent_seconds:
        return None
    return f"No sign of life since {max(last, restarted):%Y-%m-%d %H:%M:%S} UTC."


def _at_work(run: FlowRun) -> bool | None:
    """Say whether a process of this machine works on a run; None when that cannot be known."""
    known = find_run(Settings(), str(run.id))
    return None if known is None else at_work(Settings(), known.name)


@task(name="restart crashed runs", **policy(300))
def restart_crashed_runs(request: RecoverParameters) -> list[str]:
    """Schedule crashed runs again under the same id; return their names.

    Never one that was cancelled, before it crashed or while it did.
    """
    restarted, now = [], datetime.now(UTC)
    with get_client(sync_client=True) as client:
        for run in _deployed_runs(client, StateType.CRASHED, request):
            if run.state is None or run.run_count >= request.most_starts:
                continue
            # A killed process may be marked twice: the second mark must not hit what goes on.
            age = _age(run.state.timestamp, now)
            if age < request.settled_seconds or age > SIGHT.total_seconds():
                continue
            if cancel_asked(client.read_flow_run_states(run.id)) or cancelled_by_record(run):
                continue
            if _continued_elsewhere(run):
                continue
            if _at_work(run):  # whoever marked it was wrong: never two copies
                get_run_logger().warning("run %s is marked as crashed, but is at work", run.name)
                continue
            newest = client.read_flow_run(run.id).state
            if newest is None or newest.type is not StateType.CRASHED:
                continue  # a recovery on another machine was faster
            reach("restart a run")
            client.set_flow_run_state(run.id, AwaitingRetry(), force=True)
            reach("restarted a run")
            get_run_logger().info("run %s resumes: start %d", run.name, run.run_count + 1)
            restarted.append(run.name)
    return restarted


def _continued_elsewhere(run: FlowRun) -> bool:
    """Say whether another flow run goes on with it: somebody resumed it from the command line."""
    known = find_run(Settings(), str(run.id))
    current = None if known is None else known_run(Settings(), known.name)
    return current is not None and current.flow_run_id != str(run.id)


def _age(moment: datetime, now: datetime) -> float:
    return (now - moment).total_seconds()


def _deployed_runs(
    client: SyncPrefectClient, state: StateType, request: RecoverParameters
) -> list[FlowRun]:
    """Return the newest runs of our deployments in a state that were asked for; no subflows."""
    chosen = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[TAG]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[state])),
        parent_task_run_id=FlowRunFilterParentTaskRunId(is_null_=True),
    )
    flow_runs = client.read_flow_runs(flow_run_filter=chosen, sort=FlowRunSort.START_TIME_DESC)
    return [
        run for run in flow_runs if run.deployment_id is not None and _is_asked_for(run, request)
    ]


def _is_asked_for(run: FlowRun, request: RecoverParameters) -> bool:
    known = None if request.run is None else find_run(Settings(), str(run.id))
    return request.run is None or (known is not None and known.name == request.run)


def _last_heartbeat(client: SyncPrefectClient, run: FlowRun, now: datetime) -> datetime | None:
    chosen = EventFilter(
        occurred=EventOccurredFilter(since=now - SIGHT, until=now),
        event=EventNameFilter(name=[_HEARTBEAT]),
        resource=EventResourceFilter(id=[f"prefect.flow-run.{run.id}"]),
        order=EventOrder.DESC,
    )
    events = client.read_events(chosen, limit=1).events
    return events[0].occurred if events else None
