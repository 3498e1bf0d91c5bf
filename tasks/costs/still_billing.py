"""What is still billing by the hour: Whippet's endpoints, jobs in progress and warm pools."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from platforms import Platform
from platforms.sagemaker_types import TrainingJob
from tasks.costs.prices import PriceList, Use, current_prices
from tasks.costs.worst_case import endpoint_hour_usd, job_usd, wanted_instances
from tasks.endpoints.idleness import idleness
from tasks.endpoints.inventory import OwnedResource, config_now, list_endpoints
from tasks.endpoints.kinds import NOT_KNOWN, kind_of
from tasks.requests.create_or_adopt import ENDPOINT, TRAINING_JOB
from tasks.requests.tags import run_of

_HOUR = 3600


class Billing(BaseModel):
    """One thing that bills.

    Attributes:
        usd_per_hour: None when it bills by use (serverless), or its price is not known.
        no_price: what is said in place of the amount.
        until: when it ends by itself or by the clean-up, in words.
        price: where the price is from.
        idle: since when nobody has asked an endpoint, in words; empty for other things.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    name: str
    run: str
    instances: str
    usd_per_hour: Decimal | None
    no_price: str = NOT_KNOWN
    until: str
    price: str
    idle: str = ""

    @property
    def row(self) -> dict[str, str]:
        """Its row of a table."""
        usd = self.no_price if self.usd_per_hour is None else f"{self.usd_per_hour:.4f}"
        return {
            "bills": f"{self.kind} {self.name}",
            "run": self.run,
            "instances": self.instances,
            "USD per hour": usd,
            "until (UTC)": self.until,
            "last request": self.idle or "-",
        }


def still_billing(platform: Platform) -> list[Billing]:
    """Return all that bills by the hour now, or would on AWS; asks for prices once each."""
    endpoints = [endpoint_billing(platform, state) for state in list_endpoints(platform)]
    return [each for each in endpoints if each is not None] + list(_jobs(platform))


def endpoint_billing(platform: Platform, state: OwnedResource) -> Billing | None:
    """Return what an endpoint bills, by the instances that it has now; None when it is gone."""
    endpoint = ENDPOINT.describe(platform.sagemaker, state.name)
    if endpoint is None:
        return None
    config = config_now(platform, endpoint)
    kind = kind_of(config)
    wanted = wanted_instances([config])
    prices = current_prices(platform.pricing, wanted)
    return Billing(
        kind="endpoint",
        name=state.name,
        run=state.run,
        instances=kind.machines(config),
        usd_per_hour=endpoint_hour_usd(config, prices),
        no_price=kind.no_price,
        until=_until(state),
        idle=idleness(platform, state, datetime.now(UTC)).words(datetime.now(UTC)),
        price=", ".join(prices.sources()),
    )


def _until(state: OwnedResource) -> str:
    if state.expires is None:
        return "it is deleted"
    # Nothing at AWS removes it: that it is still there means that no clean-up ran.
    late = " (passed: run `whippet clean-up`)" if state.expired(datetime.now(UTC)) else ""
    return f"{state.expires:%Y-%m-%d %H:%M}{late}"


def _jobs(platform: Platform) -> Iterator[Billing]:
    listed = TRAINING_JOB.names(platform.sagemaker, StatusEquals="InProgress")
    for name, kind in [(name, "training job") for name in listed] + [
        (name, "warm pool") for name in _warm_pools(platform)
    ]:
        job = TRAINING_JOB.describe(platform.sagemaker, name)
        if job is None:
            continue
        # Trials have no tags of their own: their search has.
        run = run_of(platform, job.get("TuningJobArn") or job["TrainingJobArn"])
        if run is not None:
            yield job_billing(platform, job, run, kind)


def _warm_pools(platform: Platform) -> list[str]:
    if not platform.bills:  # only AWS keeps instances
        return []
    return [
        each["TrainingJobName"]
        for each in TRAINING_JOB.summaries(platform.sagemaker, WarmPoolStatusEquals="Available")
        if each.get("WarmPoolStatus", {}).get("Status") == "Available"
    ]


def job_billing(platform: Platform, job: TrainingJob, run: str, kind: str) -> Billing:
    """Return what a described training job of ``run``, or its warm pool, bills by the hour."""
    resources = job["ResourceConfig"]
    wanted: list[tuple[str, Use]] = [(resources["InstanceType"], "training")]
    prices: PriceList = current_prices(platform.pricing, wanted)
    limit = job["StoppingCondition"].get("MaxRuntimeInSeconds", 0)
    kept = resources.get("KeepAlivePeriodInSeconds", 0)
    most = f"{kept} s after its last job" if kind == "warm pool" else f"{limit} s after its start"
    return Billing(
        kind=kind,
        name=job["TrainingJobName"],
        run=run,
        instances=f"{resources['InstanceCount']} x {resources['InstanceType']}",
        usd_per_hour=job_usd(resources, _HOUR, prices),
        until=most,
        price=", ".join(prices.sources()),
    )


def total_sentence(found: list[Billing], *, bills: bool) -> str:
    """Return what all of it costs an hour, in words."""
    amounts = [each.usd_per_hour for each in found if each.usd_per_hour is not None]
    verb = "bills" if bills else "would bill on AWS"
    missing = len(found) - len(amounts)
    if not amounts:  # no amount: 0 USD would be one
        return f"this {verb} by use, or at a price that is not known"
    rest = f", and {missing} whose price is not known, or billed by use" if missing else ""
    source = ", ".join(sorted({each.price for each in found if each.usd_per_hour is not None}))
    about = f" ({source})" if source else ""
    return f"this {verb} {sum(amounts, Decimal(0)):.4f} USD per hour{rest}{about}"
