"""Do a step of a run again, and all that follows: `whippet run --resume RUN --from-step STEP`."""

from __future__ import annotations

from typing import Literal, get_args

from platforms import Platform
from platforms.errors import ParameterError
from sm_entrypoints.contract.sentences import counted, did_you_mean, joined, nearest
from tasks.endpoints.remove import remove_endpoint
from tasks.plan.existing_jobs import ExistingJobs, Job, JobStep, find_existing_jobs
from tasks.requests.create_or_adopt import ENDPOINT, MOST_ATTEMPTS
from tasks.runs.names import RunIdentity, resource_name
from tasks.runs.record import forget
from tasks.runs.record_model import RunFacts, RunRecord

RedoStep = Literal["tune", "train", "deploy"]
STEPS: tuple[RedoStep, ...] = get_args(RedoStep)
_JOBS: dict[RedoStep, tuple[JobStep, ...]] = {
    "tune": ("tune",),
    "train": ("train", "finetune"),
    "deploy": (),
}
# What each step writes into the record; sync, report and query are cheap and done in any case.
_PARTS: dict[RedoStep, tuple[str, ...]] = {
    "tune": ("best", "network", "lint", "jobs.tuning"),
    "train": (
        *("training", "fine_tuning", "evaluation", "verdict", "job", "report", "pdf"),
        *("jobs.training", "jobs.fine_tuning"),
    ),
    "deploy": ("endpoint", "query", "comparison", "approval", "jobs.endpoint"),
}


def step_named(text: str) -> RedoStep:
    """Return a step by its name.

    Raises:
        ParameterError: there is none; lists those there are.
    """
    for step in STEPS:
        if step == text:
            return step
    meant = did_you_mean(nearest(text, STEPS))
    raise ParameterError(
        joined(f"--from-step {text!r} is not a step: use {', '.join(STEPS)}", meant)
    )


def redo_from(platform: Platform, run_record: RunRecord, step: RedoStep) -> list[str]:
    """Have the next resume do ``step`` and what follows again; say what is kept and what is not.

    The jobs so far are left as evidence, and count towards the run's cap. The endpoint is removed:
    its name is the run's only one. Killed before its end, this has done nothing that a plain resume
    would not put right.

    Raises:
        ParameterError: the run has not come that far, one of its jobs is still at work, or it has
            no attempt left.
    """
    run = run_record.identity
    existing = find_existing_jobs(platform, run)
    again = STEPS[STEPS.index(step) :]
    jobs = [job for each in again for job in _of(existing, each)]
    _require_reached(run_record, step)
    _require_free(run, existing, jobs)
    names = {each: resource_name(run, each) for each in ("endpoint", "config", "model")}
    had = ENDPOINT.describe(platform.sagemaker, names["endpoint"]) is not None
    remove_endpoint(platform, names["endpoint"], names["config"], [names["model"]])
    redone = sorted({*run_record.redone, *(job.name for job in jobs)})
    parts = [part for each in again for part in _PARTS[each]]
    forget(platform.settings, run, parts, RunFacts(redone=redone))
    kept = [job for job in existing.jobs if not job.is_spent and job not in jobs]
    return [
        f"from step {step}: {', '.join(again)} {'is' if len(again) == 1 else 'are'} done again",
        *(f"kept: {job.name}, {job.status}, since {job.step} precedes it" for job in kept),
        *(f"left as evidence: {job.name}, {job.status}" for job in jobs if not job.redone),
        *([f"removed: endpoint {names['endpoint']}, which served the former model"] if had else []),
    ]


def _of(existing: ExistingJobs, step: RedoStep) -> list[Job]:
    return [job for job in existing.jobs if job.step in _JOBS[step]]


def _require_reached(run_record: RunRecord, step: RedoStep) -> None:
    """Check that what precedes a step is there."""
    if step != "tune" and run_record.best is None:
        missing, earlier = "a finished search", "tune"
    elif step == "deploy" and run_record.training is None:
        missing, earlier = "a trained model", "train"
    else:
        return
    raise ParameterError(
        f"run {run_record.name!r} has not come to step {step}: it has not got {missing} yet. Use "
        f"--from-step {earlier}, or --resume alone, which does what is missing"
    )


def _require_free(run: RunIdentity, existing: ExistingJobs, jobs: list[Job]) -> None:
    """Check that no job that is to be done again is at work, and that there may be another."""
    going_on = [job.name for job in jobs if job.status in ("InProgress", "Stopping")]
    if going_on:
        raise ParameterError(
            f"job {going_on[0]!r} is still at work: wait for it with --resume alone, or stop it "
            f"with `whippet cancel {run.name}`"
        )
    for step in {job.step for job in jobs}:
        number = len([job for job in existing.jobs if job.step == step])
        if number >= MOST_ATTEMPTS:
            raise ParameterError(
                f"run {run.name!r} has {counted(number, 'job')} of step {step}: start a new run"
            )
