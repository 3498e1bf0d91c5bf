"""Jobs in progress that no run waits for, or that should have ended long ago.

A job of a run that crashed or failed is none of them: whoever resumes the run adopts it, and its
own time limit ends it in any case.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta

from platforms import Platform
from platforms.job_status import TERMINAL
from platforms.sagemaker_types import TrainingJob
from tasks.costs.still_billing import job_billing
from tasks.leftovers.leftover import Leftover
from tasks.requests.create_or_adopt import TRAINING_JOB, TRANSFORM_JOB, TUNING_JOB, AnyResource
from tasks.requests.tags import run_of
from tasks.runs.names import Step, step_of
from tasks.runs.record_model import RunRecord

# What a run itself waits for. Comparisons and transforms are launched for runs that have ended.
_OWN_STEPS: tuple[Step, ...] = ("tune", "train", "finetune")
# Of a job that its platform should have ended: waiting for a machine, and uploading.
_GRACE = timedelta(hours=1)


def left_jobs(
    platform: Platform, runs: Mapping[str, RunRecord], now: datetime
) -> Iterator[Leftover]:
    """Yield the searches and training jobs that are to be stopped, searches first.

    Each unfinished job is described, so that a platform whose process for it died notices it.
    """
    yield from _searches(platform, runs)
    yield from _trainings(platform, runs, now)


def look_at_unfinished(platform: Platform) -> int:
    """Describe every unfinished search and transform, list the trainings; return the number.

    For a platform of this machine, which takes up what has lost its process when it is asked.
    """
    searches = _unfinished(platform, TUNING_JOB)
    for name in searches:
        TUNING_JOB.describe(platform.sagemaker, name)
    transforms = _unfinished(platform, TRANSFORM_JOB)
    for name in transforms:
        platform.sagemaker.describe_transform_job(TransformJobName=name)
    return len(searches) + len(transforms) + len(_unfinished(platform, TRAINING_JOB))


def _unfinished(platform: Platform, kind: AnyResource) -> list[str]:
    return [
        name
        for status in ("InProgress", "Stopping")
        for name in kind.names(platform.sagemaker, StatusEquals=status)
    ]


def _searches(platform: Platform, runs: Mapping[str, RunRecord]) -> Iterator[Leftover]:
    for name in _unfinished(platform, TUNING_JOB):
        job = TUNING_JOB.describe(platform.sagemaker, name)
        if job is None or job["HyperParameterTuningJobStatus"] != "InProgress":
            continue
        run = run_of(platform, job["HyperParameterTuningJobArn"])
        why = None if run is None else _why_unowned(name, runs.get(run))
        if run is not None and why is not None:
            yield Leftover(
                kind="tuning job",
                name=name,
                status="InProgress",
                run=run,
                created=job["CreationTime"],
                why=why,
            )


def _trainings(
    platform: Platform, runs: Mapping[str, RunRecord], now: datetime
) -> Iterator[Leftover]:
    for name in _unfinished(platform, TRAINING_JOB):
        job = TRAINING_JOB.describe(platform.sagemaker, name)
        if job is None or job["TrainingJobStatus"] in TERMINAL or "TuningJobArn" in job:
            continue  # a trial goes with its search
        run = run_of(platform, job["TrainingJobArn"])
        why = None if run is None else _why(job, runs.get(run), now)
        if run is not None and why is not None:
            yield _training(platform, job, run, why)


def _why(job: TrainingJob, run: RunRecord | None, now: datetime) -> str | None:
    if job["TrainingJobStatus"] == "InProgress":
        why = _why_unowned(job["TrainingJobName"], run)
        if why is not None:
            return why
    limit = job["StoppingCondition"].get("MaxRuntimeInSeconds")
    started = job.get("TrainingStartTime")
    if limit is None or started is None:
        return None
    due = started + timedelta(seconds=limit) + _GRACE
    return f"it should have ended by {due:%Y-%m-%d %H:%M} (UTC)" if now > due else None


def _why_unowned(name: str, run: RunRecord | None) -> str | None:
    """Say why a run does not wait for a job; None: it may, or is not known here."""
    if run is None or step_of(run.identity, name) not in _OWN_STEPS:
        return None
    reasons = {"cancelled": "its run was cancelled", "completed": "its run ended without it"}
    return reasons.get(run.status)


def _training(platform: Platform, job: TrainingJob, run: str, why: str) -> Leftover:
    billing = job_billing(platform, job, run, "training job")
    return Leftover(
        kind="training job",
        name=job["TrainingJobName"],
        status=job["TrainingJobStatus"],
        run=run,
        created=job.get("TrainingStartTime", job["CreationTime"]),
        why=why,
        usd_per_hour=billing.usd_per_hour,
        no_price=billing.no_price,
    )
