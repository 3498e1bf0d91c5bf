"""Update a run's ledger: every finished job that it started, and its endpoint as it is now.

What exists at SageMaker counts, not what a process remembers: jobs are found by the prefix of their
names, so trials, failed attempts and comparisons of `whippet improve` are all included.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from platforms import Platform
from platforms.job_status import TERMINAL
from platforms.sagemaker_types import Endpoint, EndpointConfig
from tasks.costs.ledger import note_jobs, planned_prices
from tasks.costs.prices import PriceList, current_prices
from tasks.costs.worst_case import CLEAN_UP_HOURS, endpoint_hour_usd, wanted_instances
from tasks.endpoints.inventory import config_now
from tasks.endpoints.kinds import instances_of, kind_of
from tasks.requests.create_or_adopt import ENDPOINT, TRAINING_JOB
from tasks.requests.tags import EXPIRES_TAG, SCALED_TAG, tags_of
from tasks.runs.names import RunIdentity, resource_name, step_of
from tasks.runs.record import read_run, record
from tasks.runs.record_model import RunFacts, RunRecord
from tasks.runs.record_parts import LedgerEntry

_NOT_BILLED = ("Failed", "Deleting")
_HOUR = Decimal(3600)


def settle(platform: Platform, run: RunIdentity) -> None:
    """Note the run's jobs that have ended since, and its endpoint."""
    note_own_jobs(platform, run)
    note_endpoint(platform, run)


def note_own_jobs(platform: Platform, run: RunIdentity) -> None:
    """Note every training job of the run that has ended: trials, attempts, comparisons."""
    stages: dict[str, list[str]] = {}
    for summary in TRAINING_JOB.summaries(platform.sagemaker, NameContains=run.prefix):
        step = step_of(run, summary["TrainingJobName"], trials=True)
        if step is not None and summary["TrainingJobStatus"] in TERMINAL:
            stages.setdefault(step, []).append(summary["TrainingJobName"])
    for stage, names in stages.items():
        note_jobs(platform, run, stage, names)


def note_endpoint(platform: Platform, run: RunIdentity) -> None:
    """Write what the run's endpoint used so far; what is gone since the last look is closed."""
    now = datetime.now(UTC)
    run_record = read_run(platform.settings, run.name)
    described = ENDPOINT.describe(platform.sagemaker, resource_name(run, "endpoint"))
    entries: dict[str, LedgerEntry] = {}
    if described is not None and described["EndpointStatus"] not in _NOT_BILLED:
        key = f"{described['EndpointName']} {described['CreationTime'].isoformat()}"
        entries[key] = _endpoint_entry(platform, run_record, described, now)
    for key, entry in run_record.ledger.items():
        if entry.billing and key not in entries:
            entries[key] = _closed(entry, now)
    if entries:
        record(platform.settings, run, RunFacts(ledger=entries))


def _endpoint_entry(
    platform: Platform, run_record: RunRecord, endpoint: Endpoint, now: datetime
) -> LedgerEntry:
    tags = tags_of(platform, endpoint["EndpointArn"])
    config = config_now(platform, endpoint)
    instances = instances_of(config)
    count = sum(each.count for each in instances)
    prices = _prices(platform, run_record, config)
    hour = endpoint_hour_usd(config, prices)
    # What it had in between is not known: one that scales is counted at its largest.
    most = int(tags.get(SCALED_TAG, count))
    if hour is not None and most > count > 0:
        hour = hour * most / count
    seconds = max(0, int((now - endpoint["CreationTime"]).total_seconds()))
    types = ", ".join(sorted({each.type for each in instances}))
    return LedgerEntry(
        job=endpoint["EndpointName"],
        stage="deploy",
        status=endpoint["EndpointStatus"],
        instance_type=types or kind_of(config).title,
        instance_count=max(most, 1),
        billable_seconds=seconds,
        spot_saving=0.0,
        usd=None if hour is None else hour * seconds / _HOUR,
        price=_source(config, prices),
        usd_per_hour=hour,
        billing=True,
        since=endpoint["CreationTime"].isoformat(),
        expires=tags.get(EXPIRES_TAG),
    )


def _prices(platform: Platform, run_record: RunRecord, config: EndpointConfig) -> PriceList:
    """Return the prices that the run was planned with, or else today's."""
    wanted = wanted_instances([config])
    planned = planned_prices(run_record)
    if planned is not None and all(planned.per_hour(*pair) is not None for pair in wanted):
        return planned
    return current_prices(platform.pricing, wanted)


def _source(config: EndpointConfig, prices: PriceList) -> str:
    hourly = [prices.per_hour(each.type, "hosting") for each in instances_of(config)]
    sources = sorted({price.source for price in hourly if price is not None})
    return ", ".join(sources) if hourly and all(hourly) else kind_of(config).no_price


def _closed(entry: LedgerEntry, now: datetime) -> LedgerEntry:
    """Return the entry of an endpoint that is gone: until now at most, or until its clean-up."""
    since = datetime.fromisoformat(str(entry.since))
    seen = since + timedelta(seconds=entry.billable_seconds)
    end = now
    if entry.expires:
        due = datetime.fromisoformat(entry.expires) + timedelta(hours=float(CLEAN_UP_HOURS))
        end = min(now, max(seen, due))
    seconds = max(entry.billable_seconds, int((end - since).total_seconds()))
    hour = entry.usd_per_hour
    return entry.model_copy(
        update={
            "status": "Deleted",
            "billing": False,
            "billable_seconds": seconds,
            "usd": None if hour is None else hour * seconds / _HOUR,
        }
    )
