"""Find the jobs of a run that are in progress, and stop them."""

from __future__ import annotations

from collections.abc import Sequence

from platforms import Platform
from tasks.requests.create_or_adopt import TRAINING_JOB, TRANSFORM_JOB, TUNING_JOB, AnyResource
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
    return [
        name
        for name in names_in_progress(platform, improving.run, ["improve"])
        if improving.owns(name) and TRAINING_JOB.stop(platform.sagemaker, name)
    ]


def stop_run(platform: Platform, run: RunIdentity, steps: Sequence[Step] = JOB_STEPS) -> list[str]:
    """Stop the jobs of a run's ``steps`` that are in progress; return their names.

    Jobs are found by name prefix, so the process that stops them need not remember anything.
    """
    stopped = [
        name
        for kind in (TUNING_JOB, TRAINING_JOB)
        for name in names_in_progress(platform, run, steps, kind)
        if kind.stop(platform.sagemaker, name)
    ]
    if "transform" in recorded_jobs(platform.settings, run):
        # Only then: who never transforms need not be allowed to list transform jobs.
        names = names_in_progress(platform, run, steps, TRANSFORM_JOB)
        stopped += [name for name in names if TRANSFORM_JOB.stop(platform.sagemaker, name)]
    return stopped


def names_in_progress(
    platform: Platform,
    run: RunIdentity,
    steps: Sequence[Step],
    kind: AnyResource = TRAINING_JOB,
) -> list[str]:
    """Return the jobs of a run's ``steps`` that are in progress; trials go with their search."""
    names = kind.names(platform.sagemaker, NameContains=run.prefix, StatusEquals="InProgress")
    return [name for name in names if step_of(run, name) in steps]
