"""What the jobs and the endpoint of a run used: one entry each, in the run's record.

A job's entry is written when the job has ended, from the job's own description; if a run dies, the
next update fills the gap. An endpoint's entry is updated (tasks/costs/ledger_update.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from platforms import Platform, Settings
from platforms.job_status import TERMINAL
from platforms.sagemaker_types import TrainingJob
from sm_entrypoints.contract.sentences import counted
from tasks.costs.prices import PriceList, table_prices
from tasks.costs.worst_case import cents, job_usd
from tasks.requests.create_or_adopt import TRAINING_JOB
from tasks.runs.moments import moment
from tasks.runs.names import RunIdentity
from tasks.runs.record import read_run, record
from tasks.runs.record_model import RunFacts, RunRecord
from tasks.runs.record_parts import LedgerEntry

# Seconds that hundredths of an hour would round away.
_SHORT = 600
LEDGER_COLUMNS = ["job", "status", "instances", "billed", "spot saved", "USD", "bills on"]


def spent_jobs(settings: Settings, run: RunIdentity) -> list[str] | None:
    """Return the jobs that had failed or were stopped when the run was planned.

    Only their next attempts are in the plan. None for a run that was not planned.
    """
    plan = read_run(settings, run.name).plan
    return None if plan is None else plan.spent


def prices_of(run_record: RunRecord, region: str | None, *instance_types: str) -> PriceList:
    """Return the prices that a run was planned with, else those of the table."""
    planned = planned_prices(run_record)
    if planned is not None:
        return planned
    return table_prices([(instance_type, "training") for instance_type in instance_types], region)


def planned_prices(facts: RunFacts) -> PriceList | None:
    """Return the prices that a run was planned with; None for one that was not planned."""
    plan = facts.plan
    return None if plan is None or plan.prices is None else PriceList.model_validate(plan.prices)


def note_jobs(platform: Platform, run: RunIdentity, stage: str, jobs: Iterable[str]) -> None:
    """Write what ended training jobs used into the run's ledger; each is described once.

    Jobs that have not ended, or are not there, are passed over.
    """
    run_record = read_run(platform.settings, run.name)
    new = (job for job in jobs if job not in run_record.ledger)
    described = (TRAINING_JOB.describe(platform.sagemaker, job) for job in new)
    entries = [
        entry(job, stage, prices_of(run_record, None, job["ResourceConfig"]["InstanceType"]))
        for job in described
        if job is not None and job["TrainingJobStatus"] in TERMINAL
    ]
    if entries:
        record(platform.settings, run, RunFacts(ledger={each.job: each for each in entries}))


def entry(job: TrainingJob, stage: str, prices: PriceList) -> LedgerEntry:
    """Return the entry of a described training job that has ended."""
    resources = job["ResourceConfig"]
    billable = int(job.get("BillableTimeInSeconds", 0))
    whole = int(job.get("TrainingTimeInSeconds", 0))
    price = prices.per_hour(resources["InstanceType"], "training")
    return LedgerEntry(
        job=job["TrainingJobName"],
        stage=stage,
        status=job["TrainingJobStatus"],
        instance_type=resources["InstanceType"],
        instance_count=resources["InstanceCount"],
        billable_seconds=billable,
        # SageMaker's own formula for what managed spot saved.
        spot_saving=round(max(0.0, 1 - billable / whole), 4) if whole else 0.0,
        usd=job_usd(resources, billable, prices),
        price=price.source if price else "not known",
    )


def spent_usd(entries: Iterable[LedgerEntry]) -> Decimal:
    """Return what the jobs with a known price cost together."""
    return sum((entry.usd for entry in entries if entry.usd is not None), Decimal(0))


def endpoint_so_far_usd(facts: RunFacts) -> Decimal:
    """Return what the endpoint that is there cost so far, with an hour more; 0 without one."""
    entries = facts.ledger.values()
    going_on = [each for each in entries if each.billing and each.usd is not None]
    amounts = [(each.usd or Decimal(0)) + (each.usd_per_hour or Decimal(0)) for each in going_on]
    return max(amounts, default=Decimal(0))


def cost_sentence(run_record: RunRecord) -> str | None:
    """Return what a run cost so far, or would have on AWS, in words; None before its first job."""
    entries = list(run_record.ledger.values())
    jobs = [each for each in entries if each.since is None]
    parts = [_jobs_sentence(jobs)] if jobs else []
    parts += [_endpoint_sentence(each) for each in entries if each.since is not None]
    if not parts:
        return None
    sources = sorted({each.price for each in entries if each.usd is not None})
    if not sources:  # no amount, so nothing to say whose it would be
        return "; ".join(parts)
    verb = "" if run_record.bills else "nothing here; would have cost "
    return f"{verb}{'; '.join(parts)} ({', '.join(sources)})"


def _jobs_sentence(jobs: list[LedgerEntry]) -> str:
    seconds = sum(each.billable_seconds * each.instance_count for each in jobs)
    machines = ", ".join(sorted({each.instance_type for each in jobs}))
    unknown = sum(each.usd is None for each in jobs)
    if unknown == len(jobs):
        return f"{seconds} s of {machines}, whose price is not known"
    missing = f", and {counted(unknown, 'job')} whose price is not known" if unknown else ""
    return f"about ${cents(spent_usd(jobs))} for {seconds} s of {machines}{missing}"


def _endpoint_sentence(entry: LedgerEntry) -> str:
    seconds = entry.billable_seconds
    hours = f"{seconds} s" if seconds < _SHORT else f"{seconds / 3600:.2f} h"
    if entry.usd is None:
        return f"endpoint {entry.job}: {hours}, {entry.price}"
    on = f" so far, and keeps billing ${entry.usd_per_hour:.4f} per hour" if entry.billing else ""
    return f"endpoint {entry.job}: ${entry.usd:.4f} for {hours}{on}"


def ledger_rows(run_record: RunRecord) -> list[dict[str, str]]:
    """Return the ledger as rows of a table."""
    return [
        {
            "job": each.job,
            "status": each.status,
            "instances": _instances(each),
            "billed": f"{each.billable_seconds} s",
            "spot saved": f"{each.spot_saving:.0%}",
            "USD": "not known" if each.usd is None else f"{each.usd:.4f}",
            "bills on": _bills_on(each),
        }
        for each in run_record.ledger.values()
    ]


def _instances(entry: LedgerEntry) -> str:
    return f"{entry.instance_count} x {entry.instance_type}"


def _bills_on(entry: LedgerEntry) -> str:
    if not entry.billing:
        return ""
    if entry.usd_per_hour is None:
        return entry.price
    until = moment(entry.expires) if entry.expires else "it is deleted"
    return f"{entry.usd_per_hour:.4f} USD per hour, until {until}"


def stage_rows(run_record: RunRecord) -> list[dict[str, str]]:
    """Return a short table of the ledger: a row a stage and kind of instance."""
    groups: dict[tuple[str, str], list[LedgerEntry]] = {}
    for each in run_record.ledger.values():
        groups.setdefault((each.stage, _instances(each)), []).append(each)
    return [
        {
            "stage": stage,
            "jobs": str(len(entries)) if entries[0].since is None else entries[-1].job,
            "instances": instances,
            "billed": f"{sum(each.billable_seconds for each in entries)} s",
            "USD": "not known"
            if any(each.usd is None for each in entries)
            else f"{spent_usd(entries):.4f}",
            "bills on": _bills_on(entries[-1]),
        }
        for (stage, instances), entries in groups.items()
    ]
