"""Which jobs of a run exist already: a resumed run pays only for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal, Never

from platforms import Platform
from platforms.errors import NameTaken
from platforms.sagemaker_types import TrainingJob, TuningJob
from tasks.costs.ledger_update import settle
from tasks.costs.prices import PriceList
from tasks.costs.worst_case import jobs_usd, total
from tasks.endpoints.requests import RESOURCES
from tasks.requests.create_or_adopt import (
    MOST_ATTEMPTS,
    SPENT,
    TRAINING_JOB,
    TUNING_JOB,
    AnyResource,
    Resource,
)
from tasks.requests.stop import names_in_progress
from tasks.requests.tags import RUN_TAG, tags_of
from tasks.requests.tuning import list_trials
from tasks.runs.names import RunIdentity, Step, resource_name
from tasks.runs.record import read_run, redone_jobs
from tasks.runs.record_model import RunFacts

JobStep = Literal["tune", "train", "finetune"]

# A search is a tuning job, or packed into a training job.
_JOBS: dict[JobStep, tuple[Resource[Never, TrainingJob | TuningJob], ...]] = {
    "tune": (TUNING_JOB, TRAINING_JOB),
    "train": (TRAINING_JOB,),
    "finetune": (TRAINING_JOB,),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A tuning or training job of the run, as SageMaker describes it, with its training jobs.

    ``used``: the run has taken its best trial already. That of a search which its time limit
    stopped is as good as that of a complete one: what follows was asked for with it.
    ``redone``: its step is done again, whatever became of it.
    """

    step: JobStep
    name: str
    status: str
    described: TrainingJob | TuningJob
    training_jobs: tuple[str, ...]
    used: bool = False
    redone: bool = False

    @property
    def is_spent(self) -> bool:
        """Whether another attempt follows it."""
        return self.redone or (self.status in SPENT and not self.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingJobs:
    """The jobs of a run that exist; ``comparisons`` are those of `whippet improve` in progress."""

    jobs: tuple[Job, ...] = ()
    comparisons: tuple[TrainingJob, ...] = ()

    def spent(self) -> list[str]:
        """Return the names of the jobs that another attempt follows."""
        return [job.name for job in self.jobs if job.is_spent]

    def created(self, step: JobStep) -> bool:
        """Say whether the step's job can be adopted: it is running, done, or was used."""
        jobs = [job for job in self.jobs if job.step == step]
        adopted = [job for job in jobs if not job.redone]
        return any(job.used or job.status in ("InProgress", "Completed") for job in adopted)

    def usd(self, facts: RunFacts, prices: PriceList) -> Decimal | None:
        """Return what the run cost at most, by the record's ledger where jobs have ended.

        A running job counts with its own limits; an endpoint only once it is gone, since the run
        will have one for its whole time to live. None when a price is not known.
        """
        going_on = [job for job in self.jobs if job.status in ("InProgress", "Stopping")]
        counted = {name for job in going_on for name in job.training_jobs}
        amounts = [jobs_usd(job.described, prices) for job in going_on]
        amounts += [jobs_usd(job, prices) for job in self.comparisons]
        entries = facts.ledger.values()
        ended = [each for each in entries if each.job not in counted and not each.billing]
        amounts += [each.usd for each in ended]
        return total(amounts)


def require_own_names(platform: Platform, run: RunIdentity, steps: Iterable[Step]) -> None:
    """Look whether the names of what a run will create are free, or are the run's already.

    Raises:
        NameTaken: a resource of such a name is not tagged as the run's.
    """
    resources: dict[Step, tuple[AnyResource, ...]] = {
        "tune": (TUNING_JOB, TRAINING_JOB),
        "train": (TRAINING_JOB,),
        "finetune": (TRAINING_JOB,),
        **{step: (resource,) for step, resource in RESOURCES.items()},
    }
    for step in steps:
        for resource in resources[step]:
            _require_own(platform, run, resource, resource_name(run, step))


def _require_own(platform: Platform, run: RunIdentity, resource: AnyResource, name: str) -> None:
    description = resource.describe(platform.sagemaker, name)
    if description is None:
        return
    owner = tags_of(platform, str(description[resource.arn_member])).get(RUN_TAG)
    if owner != run.name:
        raise NameTaken(
            f"{resource.noun} {name!r} exists and was created by another request (its "
            f"{RUN_TAG} tag is {owner!r}, not {run.name!r}): use another run name, or delete it"
        )


def find_existing_jobs(platform: Platform, run: RunIdentity) -> ExistingJobs:
    """Return what of the run exists, and bring its ledger up to date."""
    settle(platform, run)
    best = read_run(platform.settings, run.name).best
    used = best.tuning_job if best else None
    return ExistingJobs(
        jobs=tuple(job for step in _JOBS for job in _attempts(platform, run, step, used)),
        comparisons=tuple(
            comparison
            for name in names_in_progress(platform, run, ["improve"])
            if (comparison := TRAINING_JOB.describe(platform.sagemaker, name)) is not None
        ),
    )


def _attempts(platform: Platform, run: RunIdentity, step: JobStep, used: str | None) -> list[Job]:
    jobs, redone = [], redone_jobs(platform.settings, run)
    for attempt in range(1, MOST_ATTEMPTS + 1):
        job = _job(platform, step, resource_name(run, step, attempt))
        if job is None:
            break
        jobs.append(replace(job, used=job.name == used, redone=job.name in redone))
    return jobs


def _job(platform: Platform, step: JobStep, name: str) -> Job | None:
    for resource in _JOBS[step]:
        description = resource.describe(platform.sagemaker, name)
        if description is None:
            continue
        trials = list_trials(platform, name) if resource is TUNING_JOB else []
        return Job(
            step=step,
            name=name,
            status=str(resource.status_of(description)),
            described=description,
            training_jobs=tuple(trial["TrainingJobName"] for trial in trials) or (name,),
        )
    return None
