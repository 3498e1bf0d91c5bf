"""Find the jobs of a run that are in progress, and stop them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from botocore.exceptions import ClientError

from platforms import Platform, SageMaker
from tasks.requests.pages import pages
from tasks.runs.improvements import find_improvement, followed_by_others
from tasks.runs.names import JOB_STEPS, RunIdentity, Step, step_of
from tasks.runs.record import recorded_jobs


def stop_improvement(platform: Platform, flow_run_id: str) -> list[str]:
    """Stop the comparison job of one improvement; return its name.

    Nothing when somebody else waits for the same job.
    """
    improving = find_improvement(platform.settings, flow_run_id)
    if improving is None or followed_by_others(platform.settings, improving):
        return []
    sagemaker = platform.sagemaker
    return [
        name
        for name in names_in_progress(platform, improving.run, ["improve"])
        if improving.owns(name)
        if _stop(lambda name: sagemaker.stop_training_job(TrainingJobName=name), name)
    ]


def stop_run(platform: Platform, run: RunIdentity, steps: Sequence[Step] = JOB_STEPS) -> list[str]:
    """Stop the jobs of a run's ``steps`` that are in progress; return their names.

    Jobs are found by name prefix, so the process that stops them need not remember anything.
    """
    sagemaker = platform.sagemaker
    stopped = [
        name
        for name in _own(_tuning_jobs(sagemaker, run), run, steps)
        if _stop(
            lambda name: sagemaker.stop_hyper_parameter_tuning_job(
                HyperParameterTuningJobName=name
            ),
            name,
        )
    ]
    stopped += [
        name
        for name in names_in_progress(platform, run, steps)
        if _stop(lambda name: sagemaker.stop_training_job(TrainingJobName=name), name)
    ]
    if "transform" in recorded_jobs(platform.settings, run):
        # Only then: who never transforms need not be allowed to list transform jobs.
        stopped += [
            name
            for name in _own(_transform_jobs(sagemaker, run), run, steps)
            if _stop(lambda name: sagemaker.stop_transform_job(TransformJobName=name), name)
        ]
    return stopped


def names_in_progress(platform: Platform, run: RunIdentity, steps: Sequence[Step]) -> list[str]:
    """Return the training jobs of a run's ``steps`` that are in progress."""
    answers = pages(
        lambda paging: platform.sagemaker.list_training_jobs(
            NameContains=run.prefix, StatusEquals="InProgress", **paging
        )
    )
    names = [job["TrainingJobName"] for page in answers for job in page["TrainingJobSummaries"]]
    return _own(names, run, steps)


def _tuning_jobs(sagemaker: SageMaker, run: RunIdentity) -> list[str]:
    answers = pages(
        lambda paging: sagemaker.list_hyper_parameter_tuning_jobs(
            NameContains=run.prefix, StatusEquals="InProgress", **paging
        )
    )
    return [
        job["HyperParameterTuningJobName"]
        for page in answers
        for job in page["HyperParameterTuningJobSummaries"]
    ]


def _transform_jobs(sagemaker: SageMaker, run: RunIdentity) -> list[str]:
    answers = pages(
        lambda paging: sagemaker.list_transform_jobs(
            NameContains=run.prefix, StatusEquals="InProgress", **paging
        )
    )
    return [job["TransformJobName"] for page in answers for job in page["TransformJobSummaries"]]


def _own(names: Iterable[str], run: RunIdentity, steps: Sequence[Step]) -> list[str]:
    """Return the names of a run's own jobs; trials belong to their tuning job and are left out."""
    return [name for name in names if step_of(run, name) in steps]


def _stop(stop: Callable[[str], object], name: str) -> bool:
    """Stop one job; False when it ended by itself since it was listed."""
    try:
        stop(name)
    except ClientError as error:
        # SageMaker refuses to stop what is not in progress; the other jobs still bill.
        if error.response.get("Error", {}).get("Code") != "ValidationException":
            raise
        return False
    return True
