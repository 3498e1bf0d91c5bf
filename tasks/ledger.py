"""What the jobs of a run used: one entry a job, in the run's record, as they end.

An entry follows from the job's own description, so writing it again changes nothing, and a run
that died is made up for by the next one that looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict

from platforms import Platform
from tasks.adoption import TRAINING_JOB
from tasks.costs import cents, job_usd
from tasks.naming import RunIdentity
from tasks.prices import PriceList, table_prices
from tasks.runs import read_run, record

# The record's keys.
LEDGER, PLAN = "ledger", "plan"
LEDGER_COLUMNS = ["job", "status", "instances", "billed", "spot saved", "USD"]


class LedgerEntry(BaseModel):
    """What one training job used.

    Attributes:
        job: its name; a trial of the search is one.
        stage: ``tune`` or ``train``.
        billable_seconds: of each instance, as SageMaker counts them.
        spot_saving: share of the time that managed spot did not bill; 0 without.
        usd: instances and volumes, None when the price is not known.
        price: where the price is from.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: str
    stage: str
    status: str
    instance_type: str
    instance_count: int
    billable_seconds: int
    spot_saving: float
    usd: Decimal | None
    price: str


def ledger_of(found: Mapping[str, Any]) -> list[LedgerEntry]:
    """Return the entries of a run's record."""
    return [LedgerEntry.model_validate(entry) for entry in found.get(LEDGER, {}).values()]


def prices_of(found: Mapping[str, Any], region: str | None, *instance_types: str) -> PriceList:
    """Return the prices that a run was planned with, else those of the table."""
    planned = found.get(PLAN, {}).get("prices")
    if planned is not None:
        return PriceList.model_validate(planned)
    return table_prices([(instance_type, "training") for instance_type in instance_types], region)


def note_jobs(platform: Platform, run: RunIdentity, stage: str, jobs: Iterable[str]) -> None:
    """Write what ended training jobs used into the run's ledger; each is described once.

    Jobs that have not ended, or are not there, are passed over.
    """
    found = read_run(platform.settings, run.name)
    known = found.get(LEDGER, {})
    described = (TRAINING_JOB.describe(platform.sagemaker, job) for job in jobs if job not in known)
    entries = [
        entry(job, stage, prices_of(found, None, job["ResourceConfig"]["InstanceType"]))
        for job in described
        if job is not None and job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped")
    ]
    if entries:
        lines = {each.job: each.model_dump(mode="json") for each in entries}
        record(platform.settings, run, {LEDGER: lines})


def entry(job: Mapping[str, Any], stage: str, prices: PriceList) -> LedgerEntry:
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


def cost_sentence(found: Mapping[str, Any]) -> str | None:
    """Return what a run's jobs cost, or would have cost on AWS, in words; None without jobs."""
    entries = ledger_of(found)
    if not entries:
        return None
    seconds = sum(each.billable_seconds * each.instance_count for each in entries)
    machines = ", ".join(sorted({each.instance_type for each in entries}))
    verb = "" if found.get(PLAN, {}).get("bills") else "nothing here; would have cost "
    unknown = sum(each.usd is None for each in entries)
    if unknown == len(entries):
        return f"{seconds} s of {machines}, whose price is not known"
    missing = f", and {unknown} jobs whose price is not known" if unknown else ""
    source = ", ".join(sorted({each.price for each in entries if each.usd is not None}))
    usd = cents(spent_usd(entries))
    return f"{verb}about ${usd} for {seconds} s of {machines}{missing} ({source})"


def ledger_rows(found: Mapping[str, Any]) -> list[dict[str, object]]:
    """Return the ledger as rows of a table."""
    return [
        {
            "job": each.job,
            "status": each.status,
            "instances": f"{each.instance_count} x {each.instance_type}",
            "billed": f"{each.billable_seconds} s",
            "spot saved": f"{each.spot_saving:.0%}",
            "USD": "not known" if each.usd is None else f"{each.usd:.4f}",
        }
        for each in ledger_of(found)
    ]
