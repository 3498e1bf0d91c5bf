"""Measure what a run's verdict proposes, and keep it only when it is better."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import Flow

from flows.policy import FlowPolicy
from platforms import Settings, connect
from platforms.errors import WhippetError
from tasks.cleaning import COMPARISON_STEP, stop_run
from tasks.improvement import (
    choose_change,
    conclude_improvement,
    follow_comparison_job,
    launch_comparison_job,
    publish_no_change,
)
from tasks.improvement_parameters import ImprovementParameters
from tasks.improvement_plan import plan_improvement


def stop_comparison(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Stop the comparison jobs of the run that a cancelled improvement was about."""
    settings = Settings()
    try:
        request = ImprovementParameters.model_validate(flow_run.parameters.get("request") or {})
        plan = plan_improvement(settings, request)
    except (WhippetError, ValueError):  # then no job was started
        return
    stop_run(connect(settings), plan.run, [COMPARISON_STEP])


# How the improved run ended is written already: an improvement has no say in it.
_POLICY = FlowPolicy(
    retries=0,
    persist_result=False,
    on_completion=[],
    on_failure=[],
    on_cancellation=[stop_comparison],
    on_crashed=[],
)


@flow(name="improve-training", **_POLICY)
def improve_training(request: ImprovementParameters | None = None) -> dict[str, Any]:
    """Apply the verdict's change in a short measured A/B; return what it gave."""
    plan = choose_change(request or ImprovementParameters())
    if not plan.change:
        return publish_no_change(plan)
    name = launch_comparison_job(plan)
    follow_comparison_job(plan, name)
    return conclude_improvement(plan, name)
