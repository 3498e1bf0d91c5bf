"""Measure the change that a run's verdict proposes, and keep it only if it is better."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow

from flows.hooks import FlowPolicy
from flows.naming import named
from platforms import Settings, connect
from platforms.errors import WhippetError
from tasks.cancelled_runs import end_if_lost
from tasks.improve.documents import Improvement
from tasks.improve.plan import plan_improvement
from tasks.improvement import (
    choose_change,
    conclude_improvement,
    follow_comparison_job,
    launch_comparison_job,
    publish_no_change,
)
from tasks.parameters.groups import ImprovementGroup
from tasks.parameters.improvement import ImprovementParameters
from tasks.requests.stop import stop_improvement
from tasks.run_end import close_accounts
from tasks.runs.names import RunIdentity
from tasks.runs.record import settings_of


def stop_comparison(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Stop the comparison job of a cancelled improvement, if nobody else waits for it."""
    stop_improvement(connect(settings_of(_improved_run(flow_run))), str(flow_run.id))


def close_improvement(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Publish what the improved run cost, with the comparison, and what still bills."""
    close_accounts(flow_run, _improved_run(flow_run))


def end_if_cancelled(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Stop the comparison job of an improvement that was cancelled as it failed or crashed."""
    end_if_lost(flow_run)


def _improved_run(flow_run: FlowRun) -> RunIdentity | None:
    try:
        request = ImprovementParameters.model_validate(flow_run.parameters.get("request") or {})
        return plan_improvement(Settings(), request).run
    except (WhippetError, ValueError):  # then no job was started
        return None


# How the improved run ended is written already: an improvement has no say in it.
_POLICY = FlowPolicy(
    retries=0,
    persist_result=False,
    on_completion=[close_improvement],
    on_failure=[end_if_cancelled, close_improvement],
    on_cancellation=[stop_comparison, close_improvement],
    on_crashed=[end_if_cancelled, close_improvement],
)


def _story(request: ImprovementParameters) -> str:
    return f"improve {request.run}"


@flow(name="improve-training", flow_run_name=named(_story), **_POLICY)
def improve_training(request: ImprovementGroup = ImprovementParameters()) -> Improvement:
    """Apply the verdict's change in a short measured A/B; return what it gave."""
    plan = choose_change(request)
    if not plan.change:
        return publish_no_change(plan)
    name = launch_comparison_job(plan)
    follow_comparison_job(plan, name)
    return conclude_improvement(plan, name)
