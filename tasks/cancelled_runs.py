"""Complete cancels that were left unfinished because the worker died, with or without the run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError
from prefect import get_client, get_run_logger, task
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterParentTaskRunId,
    FlowRunFilterStartTime,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.states import Cancelled, Cancelling

from platforms import Platform, Settings, connect
from platforms.errors import WhippetError
from sm_entrypoints.contract.kill_points import reach
from tasks.cancelling.history import cancel_asked
from tasks.costs.stop_billing import stop_everything
from tasks.parameters.upkeep import RecoverParameters
from tasks.requests.stop import stop_improvement
from tasks.run_end import close_accounts
from tasks.runs.improvements import find_improvement, forget_improvement
from tasks.runs.names import RunIdentity
from tasks.runs.record import find_run, finish, known_run, read_run, settings_of
from tasks.runs.task_policy import policy

# Of prefect.yaml's deployments.
TAG = "whippet"
SIGHT = timedelta(days=7)
# A process that somebody took for dead may start one more job than it was seen to have.
_AFTERMATH = timedelta(minutes=15)
# A dead process overwrites what was asked for.
_SUSPECT = [StateType.CANCELLING, StateType.CANCELLED, StateType.CRASHED, StateType.FAILED]


@task(name="end cancelled runs", **policy(3600))
def end_cancelled_runs(request: RecoverParameters) -> list[str]:
    """End what cancelled runs left behind; return their names.

    Their jobs are stopped, their endpoints removed, and their state is Cancelled. A run that cannot
    be ended is reported as an error, and tried again next time.
    """
    ended, logger = [], get_run_logger()
    with get_client(sync_client=True) as client:
        for flow_run in _suspects(client):
            cancelled_at = cancel_asked(client.read_flow_run_states(flow_run.id))
            # Whoever is alive sees to it within that time.
            if cancelled_at is None or _age(flow_run).total_seconds() < request.settled_seconds:
                continue
            try:
                platform = platform_of(flow_run)
                stopped = end_cancelled(client, platform, flow_run, cancelled_at)
            except (WhippetError, ClientError, BotoCoreError, OSError) as error:
                logger.error("run %s was cancelled, but is still running: %s", flow_run.name, error)
                continue
            if stopped is not None:
                what = ", ".join(stopped) or "nothing was left of it"
                logger.warning("run %s was cancelled; stopped: %s", flow_run.name, what)
                ended.append(str(flow_run.name))
    return ended


def end_if_lost(flow_run: FlowRun) -> bool:
    """End a run whose process writes its last state, if it was cancelled; say whether it was.

    A process whose worker died ends itself as Crashed within seconds, cancelled or not.
    """
    if flow_run.parent_task_run_id is not None:
        return False
    with get_client(sync_client=True) as client:
        cancelled_at = cancel_asked(client.read_flow_run_states(flow_run.id))
        if cancelled_at is None:
            return False
        current = client.read_flow_run(flow_run.id)
        end_cancelled(client, platform_of(flow_run), current, cancelled_at)
    return True


def platform_of(flow_run: FlowRun) -> Platform:
    """Return the platform that a flow run's jobs are on, or that of an improvement's."""
    settings, flow_run_id = Settings(), str(flow_run.id)
    run, improving = find_run(settings, flow_run_id), find_improvement(settings, flow_run_id)
    if run is None and improving is not None:
        run = improving.run
    return connect(settings_of(run))


def end_cancelled(
    client: SyncPrefectClient, platform: Platform, flow_run: FlowRun, asked: datetime
) -> list[str] | None:
    """End a run that was cancelled at ``asked``: stop what is still running, write its state.

    Returns the names of what was stopped, and None when there was nothing to do.
    """
    settings, flow_run_id = platform.settings, str(flow_run.id)
    run, improved = find_run(settings, flow_run_id), find_improvement(settings, flow_run_id)
    if run is not None:
        stopped = _stop_own(platform, flow_run, run, asked)
    elif improved is not None:
        stopped = _stop_improvement(platform, flow_run)
    else:  # it never came so far as to start anything, or did so elsewhere
        stopped = [] if TAG in flow_run.tags else None
    if stopped is None or (not stopped and _is_cancelled(flow_run)):
        return None
    if not _is_cancelled(flow_run):
        message = "Cancelled: the run's process was gone, or did not notice it."
        reach("write a cancel")
        client.set_flow_run_state(flow_run.id, Cancelled(message=message), force=True)
        reach("wrote a cancel")
    return stopped


def ask_to_end(client: SyncPrefectClient, flow_run_id: str) -> None:
    """Ask a flow run to end, as the UI's button does; one that has ended well stays as it is."""
    state = client.read_flow_run(UUID(flow_run_id)).state
    if state is None or state.type not in (StateType.COMPLETED, StateType.CANCELLED):
        client.set_flow_run_state(UUID(flow_run_id), Cancelling(), force=True)


def cancel_run(client: SyncPrefectClient, platform: Platform, run: RunIdentity) -> list[str]:
    """Cancel a run that has not completed, and stop all of it; return the names of what stopped.

    Whatever still waits in the run's process, or is its worker, sees the cancel in its state.
    """
    ask_to_end(client, run.flow_run_id)
    flow_run = client.read_flow_run(UUID(run.flow_run_id))
    return end_cancelled(client, platform, flow_run, datetime.now(UTC)) or []


def cancelled_by_record(flow_run: FlowRun) -> bool:
    """Say whether a run's record says that it was cancelled, whatever the server was told.

    `whippet cancel` works without a server, too.
    """
    run = find_run(Settings(), str(flow_run.id))
    current = None if run is None else known_run(Settings(), run.name)
    if current is None or current.flow_run_id != str(flow_run.id):
        return False
    return read_run(Settings(), current.name).status == "cancelled"


def _is_cancelled(flow_run: FlowRun) -> bool:
    return flow_run.state is not None and flow_run.state.type is StateType.CANCELLED


def _age(flow_run: FlowRun) -> timedelta:
    since = datetime.min.replace(tzinfo=UTC) if flow_run.state is None else flow_run.state.timestamp
    return datetime.now(UTC) - since


def _stop_own(
    platform: Platform, flow_run: FlowRun, run: RunIdentity, asked: datetime
) -> list[str] | None:
    """Stop what is left of a run; None when it is another flow run's by now, or long ended."""
    settings = platform.settings
    current = known_run(settings, run.name)
    if current is None or current.flow_run_id != str(flow_run.id):
        return None  # deleted, or resumed
    run_record = read_run(settings, run.name)
    if run_record.status == "completed":
        return None
    # A run that is started again keeps what its record said of its end. Whole seconds are written.
    recorded_end = run_record.ended if run_record.status == "cancelled" else None
    ended = datetime.fromisoformat(recorded_end) if recorded_end is not None else None
    seen_to = ended is not None and ended + timedelta(seconds=1) >= asked
    if ended is not None and seen_to and datetime.now(UTC) - ended > _AFTERMATH:
        return None
    stopped = stop_everything(platform, run)
    if stopped or not seen_to:
        finish(settings, run, "cancelled")
        close_accounts(flow_run, run)
    return stopped


def _stop_improvement(platform: Platform, flow_run: FlowRun) -> list[str]:
    """Stop the comparison job of an improvement; forget it when it is long ended."""
    stopped = stop_improvement(platform, str(flow_run.id))
    if not stopped and _is_cancelled(flow_run) and _age(flow_run) > _AFTERMATH:
        forget_improvement(platform.settings, str(flow_run.id))
    return stopped


def _suspects(client: SyncPrefectClient) -> list[FlowRun]:
    """Return the newest runs that may have been cancelled; no subflows."""
    chosen = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_SUSPECT)),
        parent_task_run_id=FlowRunFilterParentTaskRunId(is_null_=True),
        start_time=FlowRunFilterStartTime(after_=datetime.now(UTC) - SIGHT),
    )
    return client.read_flow_runs(flow_run_filter=chosen, sort=FlowRunSort.START_TIME_DESC)
