"""Tasks of a packed search: launch or adopt its job, follow it, take its trials and the best."""

from __future__ import annotations

import math
from pathlib import Path
from typing import cast

from prefect import get_run_logger, task

from dashboards.files.packed_search import read_packed_search
from dashboards.files.trials import read_trials
from platforms import Platform, connect
from platforms.errors import JobFailed
from platforms.job_status import TERMINAL
from platforms.sagemaker_types import TrainingJob, Trial
from sm_entrypoints import contract
from sm_entrypoints.contract.search import SEARCH_HYPERPARAMETER
from sm_entrypoints.contract.sentences import ended
from tasks.cancelling.watch import CancelWatch, end_if_cancelled
from tasks.costs.ledger import note_jobs, spent_jobs
from tasks.dataset.sameness import require_same_data
from tasks.parameters.run import ModelParameters, ResourceParameters, TuningParameters
from tasks.requests.create_or_adopt import TRAINING_JOB, create_or_adopt
from tasks.requests.inputs import TrainingInputs
from tasks.requests.packed_search import packed_search_requests
from tasks.requests.training import (
    GRACE_SECONDS,
    final_metrics,
    output_uri_of,
    require_completed,
)
from tasks.requests.tuning import best_trial
from tasks.requests.waiting import Pace, wait_until
from tasks.runs.names import RunIdentity
from tasks.runs.output import unpack_output
from tasks.runs.progress import Progress
from tasks.runs.record import SEARCH_FOLDER, record, run_folder
from tasks.runs.record_model import RunFacts
from tasks.runs.record_parts import BestTrial
from tasks.runs.task_policy import DAY, policy
from tasks.tuning import publish_best, publish_trial_table

_DONE, _OF, _BEST = contract.SEARCH_METRICS
_TIME_IS_UP = "MaxRuntimeExceeded"


@task(name="launch packed search", **policy(600))
def launch_packed_search(
    run: RunIdentity,
    inputs: TrainingInputs,
    model: ModelParameters,
    tuning: TuningParameters,
    resources: ResourceParameters,
) -> str:
    """Create the training job that searches, or adopt the one of this run; return its name."""
    platform = connect()
    requests = packed_search_requests(
        platform, run, inputs=inputs, model=model, tuning=tuning, resources=resources
    )
    spent = spent_jobs(platform.settings, run)
    require_same_data(platform, run)
    name = create_or_adopt(
        platform.sagemaker, TRAINING_JOB, requests, spent=spent, told=get_run_logger().warning
    )
    seeds = {"search": tuning.seed, "trials": tuning.seed}
    record(platform.settings, run, RunFacts(jobs={"tuning": name}, seeds=seeds))
    get_run_logger().info("packed search %s: %d trials in one training job", name, tuning.trials())
    return name


@task(name="follow packed search", **policy(6 * DAY))
def follow_packed_search(
    run: RunIdentity, name: str, tuning: TuningParameters, resources: ResourceParameters
) -> None:
    """Wait for the search, showing its progress; bring its trials into the run's folder.

    A search that its time limit ended is taken with the trials that it had by then.

    Raises:
        JobFailed: it ended in any other status but Completed, or delivered no trials.
    """
    platform = connect()
    with Progress("tuning-progress", f"Packed search {name}") as progress:
        job = wait_until(
            lambda: platform.sagemaker.describe_training_job(TrainingJobName=name),
            lambda found: found["TrainingJobStatus"] in TERMINAL,
            what=f"packed search {name!r}",
            pace=Pace(
                slowest=platform.defaults.poll_seconds,
                deadline=resources.longest_seconds + GRACE_SECONDS,
                interrupt=CancelWatch().look,
            ),
            watch=_TrialWatch(progress, tuning.trials()).show,
        )
        note_jobs(platform, run, "tune", [name])
        if job["TrainingJobStatus"] == "Stopped":
            end_if_cancelled()
        if job.get("SecondaryStatus") == _TIME_IS_UP:
            get_run_logger().warning("the search reached its time limit: some trials are missing")
        else:
            require_completed(job)
        trials = _fetch(platform, job, run_folder(platform.settings, run.name))
        publish_trial_table(run_folder(platform.settings, run.name), name, trials)


class _TrialWatch:
    """Shows a search's progress: how many trials are done, and the best so far."""

    def __init__(self, progress: Progress, trials: int) -> None:
        self._progress, self._trials, self._done = progress, trials, 0

    def show(self, job: TrainingJob) -> None:
        """Show how far the job is, if that is new."""
        metrics = final_metrics(job)
        done = int(metrics.get(_DONE, 0))
        if done <= self._done:
            return
        self._done, trials = done, int(metrics.get(_OF, self._trials))
        self._progress.of(done, trials)
        best = metrics.get(_BEST, math.nan)
        get_run_logger().info(
            "%d of %d trials done, best %s %.4f", done, trials, contract.OBJECTIVE_METRIC, best
        )


def _fetch(platform: Platform, job: TrainingJob, folder: Path) -> list[Trial]:
    """Download the output of a search; return its trials."""
    unpack_output(platform, output_uri_of(job), folder, name=SEARCH_FOLDER)
    try:
        return _delivered(folder)
    except ValueError as error:
        name = job["TrainingJobName"]
        raise JobFailed(
            f"packed search {name!r} delivered no trials: {ended(error)} See its log with "
            f"`whippet logs {name}`"
        ) from error


def _delivered(folder: Path) -> list[Trial]:
    # As SageMaker lists a tuning job's trials, but for the times, which are text.
    return cast(list[Trial], read_packed_search(folder / SEARCH_FOLDER).summaries)


@task(name="best of packed search", **policy(300))
def best_of_packed_search(run: RunIdentity, name: str, tuning: TuningParameters) -> BestTrial:
    """Return the best trial with typed hyperparameters; publish them, edges flagged.

    Raises:
        JobFailed: no trial of the search has an objective.
    """
    platform = connect()
    summaries = _delivered(run_folder(platform.settings, run.name))
    trials = read_trials(summaries)
    if trials.best is None:
        raise JobFailed(
            f"packed search {name!r} has no best trial: in none did {contract.OBJECTIVE_METRIC!r} "
            f"stay finite. Search lower learning rates, or see its log with `whippet logs {name}`"
        )
    best = str(trials.frame["name"][trials.best])
    (summary,) = [each for each in summaries if each["TrainingJobName"] == best]
    job = platform.sagemaker.describe_training_job(TrainingJobName=name)
    shared = {k: v for k, v in job["HyperParameters"].items() if k != SEARCH_HYPERPARAMETER}
    found = best_trial(name, summary, {**shared, **summary["TunedHyperParameters"]}, tuning)
    publish_best(run, found)
    return found
