"""What a single deployment would send and cost, before anything is created.

A whole run plans its deployment together with everything else (tasks/plan/run.py); this is for a
model trained earlier.
"""

from __future__ import annotations

from decimal import Decimal
from typing import cast

from pydantic import BaseModel, ConfigDict

from platforms import Platform
from platforms.errors import ParameterError
from tasks.costs.cap import BudgetError, require_prices_of_region
from tasks.costs.prices import PriceList, current_prices
from tasks.costs.worst_case import (
    HOURS_A_MONTH,
    cents,
    endpoint_hour_usd,
    endpoint_usd,
    wanted_instances,
)
from tasks.endpoints.requests import endpoint_requests
from tasks.parameters.run import DeploymentParameters
from tasks.plan.requests import (
    PlannedRequest,
    RunRequests,
    as_json,
    by_operation,
    quotas,
    require_valid,
)
from tasks.plan.text import request_lines, usd
from tasks.runs.names import RunIdentity
from tasks.runs.record_parts import TrainedModel


class DeploymentPlan(BaseModel):
    """What is known of a deployment before it starts; amounts in USD, None when not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bills: bool
    requests: list[PlannedRequest]
    hours_to_live: float
    worst_usd: Decimal | None
    hour_usd: Decimal | None
    quotas: dict[str, int]
    prices: PriceList


def deployment_plan(
    platform: Platform,
    run: RunIdentity,
    trained: TrainedModel,
    deployment: DeploymentParameters,
    max_usd: Decimal | None = None,
) -> DeploymentPlan:
    """Return the plan of a deployment.

    Raises:
        BudgetError: the endpoint costs more than ``max_usd`` within its time to live.
        ParameterError: there is a cap but an unknown price; or SageMaker would refuse a
            request.
    """
    requests = cast(RunRequests, endpoint_requests(platform, run, trained, deployment))
    require_valid(requests)
    prices = current_prices(
        platform.pricing, wanted_instances(request for _, request in by_operation(requests))
    )
    hours = deployment.hours_to_live
    worst = endpoint_usd(requests["config"], hours, prices, deployment.max_instances)
    if max_usd is not None:
        if platform.bills:
            require_prices_of_region(max_usd, prices)
        _require_within(max_usd, worst, hours)
    return DeploymentPlan(
        bills=platform.bills,
        requests=as_json(requests),
        hours_to_live=hours,
        worst_usd=worst,
        hour_usd=endpoint_hour_usd(requests["config"], prices),
        quotas=quotas(requests),
        prices=prices,
    )


def _require_within(max_usd: Decimal, worst: Decimal | None, hours: float) -> None:
    if worst is None:
        raise ParameterError(
            f"max_usd={max_usd} cannot be guaranteed: this endpoint's price is not known. Use a "
            "real-time endpoint with an instance type in tasks/costs/price_table.json, or leave "
            "out the cap"
        )
    if worst > max_usd:
        raise BudgetError(
            f"max_usd={max_usd} is too small: the endpoint costs up to {cents(worst)} USD in "
            f"{hours:g} h and the hour until its clean-up. Lower hours_to_live, or the instances"
        )


def deployment_markdown(plan: DeploymentPlan) -> str:
    """Return the plan as the markdown of its artifact."""
    lines = ["# Plan of the deployment", "", "```text", *request_lines(plan.requests), ""]
    lines.append(
        f"at most {usd(plan.worst_usd)} for {plan.hours_to_live:g} h, and up to 1 h until its "
        "clean-up" + ("" if plan.bills else " (what AWS would charge: here it is free)")
    )
    if plan.hour_usd is not None:
        month = usd(plan.hour_usd * HOURS_A_MONTH)
        lines.append(f"until it is removed: ${plan.hour_usd:.3f} per hour, {month} per month")
    lines.append(f"prices: {'; '.join(plan.prices.sources())}")
    lines += [f"quota: {name}, at least {count}" for name, count in plan.quotas.items()]
    return "\n".join([*lines, "```"])
