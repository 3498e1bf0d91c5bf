"""What the server knows of deployments and runs now, as rows of tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterTags,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterParentTaskRunId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType, Worker, WorkerStatus
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.sorting import FlowRunSort
from prefect.exceptions import ObjectNotFound

from cli.operation.worker import POOL
from platforms import Settings
from tasks.runs.record import every_run

Row = dict[str, str]
_UNDERWAY = [StateType.PENDING, StateType.RUNNING, StateType.PAUSED, StateType.CANCELLING]
_TAGS = ("whippet", "whippet-recovery")
_MOST = 200


class Operation(NamedTuple):
    """What is under way on a server: rows of four tables."""

    workers: list[Row]
    schedules: list[Row]
    runs: list[Row]
    questions: list[Row]


def look_at(client: SyncPrefectClient, settings: Settings, ui: str) -> Operation:
    """Return what is under way; ``ui`` is the address of the server's pages."""
    deployments = {each.id: each for tag in _TAGS for each in _deployments(client, tag)}
    named = {each.id: each for each in deployments.values()}
    runs = _runs(client)
    return Operation(
        workers=[_worker(each) for each in online_workers(client)],
        schedules=list(_schedules(client, list(named.values()))),
        runs=[_run(each, named) for each in runs],
        questions=list(_questions(settings, runs, ui)),
    )


def _deployments(client: SyncPrefectClient, tag: str) -> list[DeploymentResponse]:
    chosen = DeploymentFilter(tags=DeploymentFilterTags(all_=[tag]))
    return client.read_deployments(deployment_filter=chosen, limit=_MOST)


def online_workers(client: SyncPrefectClient) -> list[Worker]:
    """Return the workers that the server has heard of lately."""
    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:  # no pool yet; to ask for its workers would be another error
        return []
    found = client.read_workers_for_work_pool(POOL)
    return [each for each in found if each.status is WorkerStatus.ONLINE]


def _worker(worker: Worker) -> Row:
    heard = worker.last_heartbeat_time
    return {"worker": worker.name, "last heard of (UTC)": _moment(heard)}


def _runs(client: SyncPrefectClient) -> list[FlowRun]:
    chosen = FlowRunFilter(
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNDERWAY)),
        parent_task_run_id=FlowRunFilterParentTaskRunId(is_null_=True),
    )
    return client.read_flow_runs(
        flow_run_filter=chosen, sort=FlowRunSort.START_TIME_DESC, limit=_MOST
    )


def _run(run: FlowRun, deployments: Mapping[UUID, DeploymentResponse]) -> Row:
    state = run.state
    deployment = deployments.get(run.deployment_id) if run.deployment_id else None
    return {
        "run": run.name,
        "deployment": deployment.name if deployment else "-",
        "state": state.name or state.type.value if state else "-",
        "since (UTC)": _moment(state.timestamp if state else None),
        "start": str(run.run_count),
    }


def _schedules(client: SyncPrefectClient, deployments: list[DeploymentResponse]) -> Iterator[Row]:
    flows: dict[object, str] = {}
    for each in deployments:
        for schedule in each.schedules:
            if each.flow_id not in flows:
                flows[each.flow_id] = client.read_flow(each.flow_id).name
            how = getattr(schedule.schedule, "cron", None) or type(schedule.schedule).__name__
            yield {
                "deployment": f"{flows[each.flow_id]}/{each.name}",
                "schedule": str(how),
                "is": "on" if schedule.active and not each.paused else "off",
                "next (UTC)": _next(client, each) if schedule.active else "-",
            }


def _next(client: SyncPrefectClient, deployment: DeploymentResponse) -> str:
    chosen = FlowRunFilter(
        deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.SCHEDULED])),
    )
    found = client.read_flow_runs(
        flow_run_filter=chosen, sort=FlowRunSort.EXPECTED_START_TIME_ASC, limit=1
    )
    return _moment(found[0].expected_start_time) if found else "-"


def _questions(settings: Settings, runs: list[FlowRun], ui: str) -> Iterator[Row]:
    """Yield the runs that wait for a person, with what is asked where their record is here."""
    asked = {each.flow_run_id: each.approval for each in every_run(settings)}
    for run in runs:
        if run.state is None or run.state.type is not StateType.PAUSED:
            continue
        approval = asked.get(str(run.id))
        until = run.state.state_details.pause_timeout
        yield {
            "waits for a yes": run.name,
            "until (UTC)": _moment(until),
            "about": approval.sentence if approval else "-",
            "answer at": f"{ui}/runs/flow-run/{run.id}",
        }


def _moment(moment: datetime | None) -> str:
    return "-" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
