"""Questions that nobody answers: a time-out is a no, and no second run asks beside one that waits.

When the time of a question is up, Prefect's server writes Failed. No process of the run lives then,
so none of its hooks runs: what they would do is done here.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from prefect import get_client, get_run_logger, runtime, task
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed

from platforms import Settings
from tasks.approval.question import Reply, refused_sentence
from tasks.run_end import close_accounts
from tasks.runs.approval_parts import Approval
from tasks.runs.endings import HELD_BACK, REFUSED, tag_ending
from tasks.runs.record import every_run, find_run, finish, record
from tasks.runs.record_model import RunFacts, RunRecord
from tasks.runs.task_policy import policy


def held_back() -> State[None] | None:
    """Return the state in which a scheduled run ends at once, if another waits for a yes.

    It would train a model that nobody asked for, and then wait behind the same person. None: the
    run goes on. A run that somebody started by hand always does.
    """
    deployment, flow_run_id = runtime.deployment.id, runtime.flow_run.id
    if not deployment or find_run(Settings(), str(flow_run_id)) is not None:
        return None
    with get_client(sync_client=True) as client:
        if not _is_scheduled(client.read_flow_run(UUID(str(flow_run_id)))):
            return None
        chosen = FlowRunFilter(
            deployment_id=FlowRunFilterDeploymentId(any_=[UUID(str(deployment))]),
            state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.PAUSED])),
        )
        waiting = client.read_flow_runs(flow_run_filter=chosen, limit=1)
        if not waiting:
            return None
        tag_ending(client, UUID(str(flow_run_id)), HELD_BACK)
    message = f"Held back: run {waiting[0].name!r} waits for an answer. Nothing was trained."
    get_run_logger().warning("%s", message)
    return Completed(message=message)


def _is_scheduled(flow_run: FlowRun) -> bool:
    return bool(flow_run.auto_scheduled)


@task(name="close unanswered questions", **policy(300))
def close_unanswered() -> list[str]:
    """End the runs whose question nobody answered in time as refused; return their names."""
    closed, settings = [], Settings()
    with get_client(sync_client=True) as client:
        for each in every_run(settings):
            if each.status != "waiting" or each.approval is None or not each.approval.waits:
                continue
            flow_run = _flow_run(client, each.approval)
            if _is_over(each.approval, flow_run):
                _refuse(client, settings, each, flow_run)
                get_run_logger().warning("run %s: nobody answered, so it is refused", each.name)
                closed.append(each.name)
    return closed


def _flow_run(client: SyncPrefectClient, approval: Approval) -> FlowRun | None:
    try:
        return client.read_flow_run(UUID(approval.flow_run_id))
    except (ObjectNotFound, ValueError):  # it was deleted
        return None


def _is_over(approval: Approval, flow_run: FlowRun | None) -> bool:
    """Say whether the time is up, and Prefect has ended the run for it."""
    if datetime.now(UTC) < datetime.fromisoformat(approval.until):
        return False
    if flow_run is None or flow_run.state is None:
        return True
    return flow_run.state.type is StateType.FAILED


def _refuse(
    client: SyncPrefectClient, settings: Settings, run: RunRecord, flow_run: FlowRun | None
) -> None:
    approval = run.approval
    if approval is None:
        return
    until = datetime.fromisoformat(approval.until)
    reply = Reply("no", f"nobody answered by {until:%Y-%m-%d %H:%M} UTC")
    if flow_run is not None:
        message = refused_sentence(approval.sentence, reply)
        tag_ending(client, flow_run.id, REFUSED)
        client.set_flow_run_state(flow_run.id, Completed(message=message), force=True)
    answer = {"answer": "no", "answered": approval.until, "reason": reply.reason}
    record(settings, run.identity, RunFacts(approval=approval.model_copy(update=answer)))
    finish(settings, run.identity, "refused")
    if flow_run is not None:
        close_accounts(flow_run, run.identity)
