"""What a request can cost at most, read from the request itself. Pure; money is ``Decimal``.

The worst case of a job is its time limit plus the billed time around it, on all of its instances at
the on-demand price. Logs, requests to S3 and taxes are not counted, since they have no limit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, Decimal

from platforms.sagemaker_requests import RequestedResources
from platforms.sagemaker_types import ResourceConfig
from tasks.costs.prices import PriceList, Use
from tasks.endpoints.kinds import instances_of
from tasks.requests.shapes import (
    AnyEndpointConfig,
    AnyJob,
    is_endpoint_config,
    is_job,
    is_tuning,
    job_definition,
)

CENT = Decimal("0.01")
HOURS_A_MONTH = 730
# At its limit a job gets SIGTERM, and 120 seconds to save its model (SageMaker's guide).
STOP_SECONDS = 120
# Image, data and model travel on instances that bill already, or still, but outside of
# MaxRuntimeInSeconds: a job limited to 603 s billed 841 (aws/sagemaker-python-sdk#4451).
AROUND_SECONDS = 300
# The clean-up that ends a time to live runs every hour (prefect.yaml).
CLEAN_UP_HOURS = Decimal(1)
# An endpoint's volume that the request does not size; an assumption, on the safe side.
_HOSTING_VOLUME_GB = 30
_GB = Decimal(10**9)


def wanted_instances(requests: Iterable[Mapping[str, object]]) -> list[tuple[str, Use]]:
    """Return the instances whose prices the requests need."""
    wanted: list[tuple[str, Use]] = []
    for request in requests:
        if is_endpoint_config(request):
            wanted += [(each.type, "hosting") for each in instances_of(request)]
        elif is_job(request):
            resources = job_definition(request)["ResourceConfig"]
            wanted.append((resources["InstanceType"], "training"))
    return wanted


def most_jobs(request: AnyJob) -> int:
    """Return how many training jobs a tuning or training request starts at most."""
    if not is_tuning(request):
        return 1
    config = request["HyperParameterTuningJobConfig"]
    limit = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    if limit is not None:
        return int(limit)
    # A grid: every combination of its values, once.
    ranges = config["ParameterRanges"].get("CategoricalParameterRanges", [])
    return math.prod(len(each["Values"]) for each in ranges)


def parallel_jobs(request: AnyJob) -> int:
    """Return how many training jobs a request runs at the same time."""
    if not is_tuning(request):
        return 1
    limits = request["HyperParameterTuningJobConfig"]["ResourceLimits"]
    return limits["MaxParallelTrainingJobs"]


def most_seconds(request: AnyJob) -> int:
    """Return how long each job of a tuning or training request bills at most."""
    definition = job_definition(request)
    kept_warm = definition["ResourceConfig"].get("KeepAlivePeriodInSeconds", 0)
    condition = definition["StoppingCondition"]
    # Spot jobs that are interrupted start again, and nothing at AWS says that the limit holds for
    # all attempts together; the longest wait does. Nor is any discount certain.
    limit = condition.get("MaxWaitTimeInSeconds", condition["MaxRuntimeInSeconds"])
    return int(limit) + STOP_SECONDS + AROUND_SECONDS + int(kept_warm)


def wall_seconds(request: AnyJob, seconds: float) -> int:
    """Return how long a request takes whose jobs take ``seconds`` each, side by side."""
    return math.ceil(math.ceil(most_jobs(request) / parallel_jobs(request)) * seconds)


def job_usd(
    resources: ResourceConfig | RequestedResources, seconds: float, prices: PriceList
) -> Decimal | None:
    """Return what ``seconds`` of a job cost on a ``ResourceConfig``: instances and volumes.

    None when the price of the instance is not known.
    """
    price = prices.per_hour(resources["InstanceType"], "training")
    if price is None:
        return None
    hour = price.usd + _volume_hour(resources["VolumeSizeInGB"], prices)
    return Decimal(str(seconds)) / 3600 * hour * int(resources["InstanceCount"])


def _volume_hour(gigabytes: int, prices: PriceList) -> Decimal:
    return prices.volume_gb_month.usd * gigabytes / HOURS_A_MONTH


def jobs_usd(request: AnyJob, prices: PriceList, seconds: float | None = None) -> Decimal | None:
    """Return what the jobs of a tuning or training request cost, at ``seconds`` each.

    ``seconds`` is by default what they bill at most. None when a price is not known.
    """
    definition = job_definition(request)
    each = most_seconds(request) if seconds is None else seconds
    one = job_usd(definition["ResourceConfig"], each, prices)
    return None if one is None else one * most_jobs(request)


def endpoint_hour_usd(request: AnyEndpointConfig, prices: PriceList) -> Decimal | None:
    """Return what an hour of an endpoint costs, from the request of its config.

    None when a price is not known, or it bills by use.
    """
    instances = instances_of(request)
    total = Decimal(0)
    for each in instances:
        price = prices.per_hour(each.type, "hosting")
        if price is None:
            return None
        hour = price.usd + _volume_hour(each.volume_gb or _HOSTING_VOLUME_GB, prices)
        total += hour * each.count
    return total if instances else None


def endpoint_usd(
    request: AnyEndpointConfig,
    hours_to_live: float,
    prices: PriceList,
    most_instances: int | None = None,
) -> Decimal | None:
    """Return what an endpoint costs until the clean-up that follows its time to live.

    With ``most_instances`` it scales, and is counted at its largest all the time.
    """
    hour = endpoint_hour_usd(request, prices)
    if hour is None:
        return None
    if most_instances is not None:
        hour = hour * most_instances / sum(each.count for each in instances_of(request))
    return hour * (Decimal(str(hours_to_live)) + CLEAN_UP_HOURS)


def objects_month_usd(size: int, prices: PriceList) -> Decimal:
    """Return what ``size`` bytes cost a month in S3."""
    return Decimal(size) / _GB * prices.objects_gb_month.usd


def total(amounts: list[Decimal | None]) -> Decimal | None:
    """Return the sum of amounts, None when one of them is not known."""
    priced = [amount for amount in amounts if amount is not None]
    return sum(priced, Decimal(0)) if len(priced) == len(amounts) else None


def cents(usd: Decimal) -> Decimal:
    """Return an amount in whole cents, never less than it is."""
    return usd.quantize(CENT, rounding=ROUND_CEILING)
