"""A line of a plan for each job: what it is, what it costs at most, what it may cost."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from sm_entrypoints.contract.sentences import counted
from tasks.costs.prices import PriceList
from tasks.costs.worst_case import jobs_usd, most_jobs, most_seconds
from tasks.plan.earlier_runs import Rehearsal
from tasks.requests.bodies import is_packed_search
from tasks.requests.fine_tuning import is_fine_tuning
from tasks.requests.shapes import AnyJob, job_definition


class CostLine(BaseModel):
    """What one part of a run costs; an amount is None when it is not known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    what: str
    worst_usd: Decimal | None
    expected_usd: Decimal | None


def measured(request: AnyJob, rehearsal: Rehearsal | None) -> int | None:
    """Return how long each job of a request took in an earlier run, seconds; None: not known."""
    if rehearsal is None:
        return None
    if is_packed_search(request):
        return rehearsal.search_seconds
    if "TrainingJobName" not in request:
        return rehearsal.trial_seconds
    fine_tuning = is_fine_tuning(request)
    return rehearsal.fine_tuning_seconds if fine_tuning else rehearsal.training_seconds


def job_line(request: AnyJob, prices: PriceList, seconds: int | None) -> CostLine:
    """Return the line of a request's jobs; ``seconds`` is what each is expected to take."""
    definition = job_definition(request)
    resources = definition["ResourceConfig"]
    jobs = most_jobs(request)
    spot = ", undiscounted" if definition.get("EnableManagedSpotTraining") else ""
    return CostLine(
        what=f"{_noun(request)}, {resources['InstanceCount']} x {resources['InstanceType']}, "
        f"up to {duration(most_seconds(request))}{' each' * (jobs > 1)}{spot}",
        worst_usd=jobs_usd(request, prices),
        expected_usd=None if seconds is None else jobs_usd(request, prices, seconds),
    )


def _noun(request: AnyJob) -> str:
    if is_packed_search(request):
        return "the packed search"
    if "TrainingJobName" not in request:
        return counted(most_jobs(request), "trial")
    return "the fine-tuning" if is_fine_tuning(request) else "the training"


def duration(seconds: float) -> str:
    """Return a time in words: ``2 h 2 min``, ``45 s``."""
    whole = round(seconds)
    hours, minutes = divmod(round(whole / 60), 60)
    if whole < 120:
        return f"{whole} s"
    return " ".join(f"{value} {unit}" for value, unit in ((hours, "h"), (minutes, "min")) if value)
