"""Hold the comparison job of `whippet improve` to a cap: its own, or the rest of the run's."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from platforms import Platform
from platforms.errors import ParameterError
from platforms.sagemaker_requests import TrainingRequest
from platforms.sagemaker_types import TrainingJob
from tasks.costs.cap import LEAST_SECONDS, BudgetError, require_prices_of_region
from tasks.costs.ledger import planned_prices
from tasks.costs.prices import PriceList, current_prices
from tasks.costs.worst_case import CLEAN_UP_HOURS, cents, jobs_usd
from tasks.runs.record_model import RunRecord
from tasks.runs.record_parts import LedgerEntry


class Allowance(BaseModel):
    """What a comparison may cost; ``usd`` is None without any cap, ``prices`` are the run's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd: Decimal | None
    prices: PriceList


def allowance(
    platform: Platform,
    run_record: RunRecord,
    job: TrainingJob,
    cap: Decimal | None,
    besides: str,
) -> Allowance:
    """Return the cap of a comparison, by default what the run's own cap leaves.

    Args:
        run_record: the run's, its ledger up to date.
        job: the run's described training job; the comparison runs on an instance like it.
        cap: the comparison's own cap.
        besides: name of the comparison job itself, which may be in the ledger already.
    """
    prices = comparison_prices(platform, run_record, job)
    whole = run_record.group("resources").get("max_usd")
    if cap is None and whole is not None:
        committed = [_committed(each) for each in run_record.ledger.values() if each.job != besides]
        cap = Decimal(str(whole)) - sum(committed, Decimal(0))
    if cap is not None and platform.bills:
        require_prices_of_region(cap, prices)
    return Allowance(usd=cap, prices=prices)


def comparison_prices(platform: Platform, run_record: RunRecord, job: TrainingJob) -> PriceList:
    """Return the prices of a comparison on an instance like ``job``'s: the run's, if it has any."""
    planned = planned_prices(run_record)
    instance = job["ResourceConfig"]["InstanceType"]
    return planned or current_prices(platform.pricing, [(instance, "training")])


def _committed(entry: LedgerEntry) -> Decimal:
    """Return what an entry costs in the end: an endpoint lives until the clean-up after its time.

    The result is always the same, so an existing comparison is the requested one.
    """
    if entry.usd is None:
        raise ParameterError(
            f"the cost of {entry.job!r} of this run is not known ({entry.price}), so the rest of "
            "its cap for a comparison is not known either: give --max-usd"
        )
    if not (entry.billing and entry.since and entry.expires and entry.usd_per_hour is not None):
        return entry.usd
    lives = datetime.fromisoformat(entry.expires) - datetime.fromisoformat(entry.since)
    hours = Decimal(str(lives / timedelta(hours=1))) + CLEAN_UP_HOURS
    return max(entry.usd, entry.usd_per_hour * hours)


def held_to(request: TrainingRequest, allowed: Allowance) -> TrainingRequest:
    """Return a comparison's request whose worst case keeps the allowance: its time is cut.

    Raises:
        BudgetError: not even ten minutes of it do.
        ParameterError: there is a cap, and the price is not known.
    """
    if allowed.usd is None:
        return request
    limit = int(request["StoppingCondition"]["MaxRuntimeInSeconds"])
    least = min(limit, LEAST_SECONDS)
    worst, shortest, second = (
        jobs_usd(_lasting(request, seconds), allowed.prices)
        for seconds in (limit, least, least + 1)
    )
    if worst is None or shortest is None or second is None:
        raise ParameterError(
            f"max_usd={allowed.usd} cannot be guaranteed: the hourly price of "
            f"{request['ResourceConfig']['InstanceType']} is not known. Add it to "
            "tasks/costs/price_table.json"
        )
    if worst <= allowed.usd:
        return request
    if shortest > allowed.usd:
        raise BudgetError(
            f"a comparison costs up to {cents(shortest)} USD even if it is stopped after {least} "
            f"s, but only {cents(max(allowed.usd, Decimal(0)))} USD are left of the cap. The "
            f"smallest cap that works is --max-usd {cents(shortest)}"
        )
    more = int((allowed.usd - shortest) / (second - shortest))
    return _lasting(request, min(limit, least + more))


def _lasting(request: TrainingRequest, seconds: int) -> TrainingRequest:
    return {**request, "StoppingCondition": {"MaxRuntimeInSeconds": seconds}}
