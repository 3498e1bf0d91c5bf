"""Find the jobs of a run that are in progress, and stop them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from botocore.exceptions import ClientError

from platforms import Platform
from tasks.requests.pages import list_all
from tasks.runs.names import JOB_STEPS, RunIdentity, Step, step_of
from tasks.runs.record import recorded_jobs


def stop_run(platform: Platform, run: RunIdentity, steps: Sequence[Step] = JOB_STEPS) -> list[str]:
    """Stop the jobs of a run's ``steps`` that are in progress; return their names.

    Jobs are found by name prefix, so the process that stops them need not remember anything.
    """
    sagemaker = platform.sagemaker
    stopped = []
    kinds: list[tuple[str, Callable[..., Any], Callable[..., object]]] = [
        (
            "HyperParameterTuningJob",
            sagemaker.list_hyper_parameter_tuning_jobs,
            sagemaker.stop_hyper_parameter_tuning_job,
        ),
        ("TrainingJob", sagemaker.list_training_jobs, sagemaker.stop_training_job),
    ]
    if "transform" in recorded_jobs(platform.settings, run):
        # Only then: who never transforms need not be allowed to list transform jobs.
        kinds.append(("TransformJob", sagemaker.list_transform_jobs, sagemaker.stop_transform_job))
    for kind, list_jobs, stop in kinds:
        for name in _in_progress(list_jobs, kind, run, steps):
            if _stop(stop, f"{kind}Name", name):
                stopped.append(name)
    return stopped


def names_in_progress(platform: Platform, run: RunIdentity, steps: Sequence[Step]) -> list[str]:
    """Return the training jobs of a run's ``steps`` that are in progress."""
    return _in_progress(platform.sagemaker.list_training_jobs, "TrainingJob", run, steps)


def _in_progress(list_jobs: Any, kind: str, run: RunIdentity, steps: Sequence[Step]) -> list[str]:
    """Return the names of a run's own jobs; trials belong to their tuning job and are left out."""
    summaries = list_all(
        list_jobs, f"{kind}Summaries", NameContains=run.prefix, StatusEquals="InProgress"
    )
    names = [str(summary[f"{kind}Name"]) for summary in summaries]
    return [name for name in names if step_of(run, name) in steps]


def _stop(stop: Callable[..., object], member: str, name: str) -> bool:
    """Stop one job; False when it ended by itself since it was listed."""
    try:
        stop(**{member: name})
    except ClientError as error:
        # SageMaker refuses to stop what is not in progress; the other jobs still bill.
        if error.response.get("Error", {}).get("Code") != "ValidationException":
            raise
        return False
    return True
