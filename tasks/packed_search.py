"""Tasks of a packed search: launch or adopt its job, follow it, take its trials and the best."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact

from dashboards.files.networks import read_networks_file
from dashboards.files.packed_search import PackedSearch, read_packed_search
from platforms import Platform, connect
from platforms.errors import JobFailed
from platforms.job_status import TERMINAL
from platforms.sagemaker_types import TrainingJob, Trial
from sm_entrypoints import contract
from sm_entrypoints.contract.search import SEARCH_HYPERPARAMETER
from sm_entrypoints.contract.sentences import clause, counted, ended
from tasks.cancelling.watch import CancelWatch, end_if_stopped
from tasks.costs.ledger import note_jobs
from tasks.parameters.run import ModelParameters, ResourceParameters, TuningParameters
from tasks.report.network import choice_markdown, chosen_network, endpoint_price
from tasks.requests.create_or_adopt import TRAINING_JOB
from tasks.requests.inputs import TrainingInputs
from tasks.requests.packed_search import delivered_search, packed_search_requests
from tasks.requests.parents import packed_parent, parents_uri
from tasks.requests.search_progress import remove_progress, trials_so_far
from tasks.requests.training import (
    final_metrics,
    output_uri_of,
    require_completed,
    wait_for,
)
from tasks.requests.tuning import best_trial, list_trials
from tasks.runs.names import RunIdentity
from tasks.runs.output import unpack_output
from tasks.runs.progress import Progress
from tasks.runs.record import SEARCH_FOLDER, read_run, record, run_folder
from tasks.runs.record_model import RunFacts
from tasks.runs.record_parts import BestTrial
from tasks.runs.task_policy import DAY, policy
from tasks.storage.objects import StoreFailed, put_object
from tasks.storage.uris import split_uri
from tasks.training import launch
from tasks.tuning import publish_best, publish_trial_table

_DONE, _OF, _BEST = contract.SEARCH_METRICS
_TIME_IS_UP = "MaxRuntimeExceeded"


@task(name="launch packed search", task_run_name="launch search on {inputs.dataset}", **policy(600))
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
    _bring_parents(platform, run, tuning.warm_start_from)
    name = launch(platform, run, TRAINING_JOB, requests)
    seeds = {"search": tuning.seed, "trials": tuning.seed}
    record(platform.settings, run, RunFacts(jobs={"tuning": name}, seeds=seeds))
    get_run_logger().info("packed search %s: %d trials in one training job", name, tuning.trials())
    return name


def _bring_parents(platform: Platform, run: RunIdentity, names: Sequence[str]) -> None:
    """Put the trial tables of earlier searches where the job finds them."""
    for name in names:
        job = packed_parent(platform, name)
        if job is None:
            trials: Sequence[object] = list_trials(platform, name)
        else:
            trials = delivered_search(platform, job).summaries
        bucket, folder = split_uri(parents_uri(platform, run))
        text = json.dumps(trials, default=str)
        put_object(platform.store(bucket), f"{folder}{name}.json", text.encode())
        get_run_logger().info("learning from %s of %s", counted(len(trials), "trial"), name)


@task(name="follow packed search", task_run_name="follow {name}", **policy(6 * DAY))
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
        watch = TrialWatch(platform, run, progress, tuning.trials()).show
        seconds, interrupt = resources.longest_seconds, CancelWatch().look
        job = wait_for(platform, "packed search", name, seconds, watch, interrupt)
        note_jobs(platform, run, "tune", [name])
        end_if_stopped(job["TrainingJobStatus"])
        if job.get("SecondaryStatus") == _TIME_IS_UP:
            get_run_logger().warning("the search reached its time limit: some trials are missing")
        else:
            require_completed(job)
        folder = run_folder(platform.settings, run.name)
        trials = _fetch(platform, job, folder).summaries
        # As SageMaker lists a tuning job's trials, but for the times, which are text.
        publish_trial_table(folder, name, cast(Sequence[Trial], trials))


class TrialWatch:
    """Shows a search's progress: how many trials are done, the best so far, and the trial table."""

    def __init__(
        self, platform: Platform, run: RunIdentity, progress: Progress, trials: int
    ) -> None:
        self._platform, self._run, self._progress = platform, run, progress
        self._trials, self._done, self._listed = trials, 0, 0

    def show(self, job: TrainingJob) -> None:
        """Show how far the job is, if that is new."""
        metrics = final_metrics(job)
        self._say(metrics)
        if self._listed < self._done and job["TrainingJobStatus"] not in TERMINAL:
            self._list(job)

    def _list(self, job: TrainingJob) -> None:
        """Publish the trial table, which arrives some seconds after the line of the log."""
        try:
            trials = trials_so_far(self._platform, job)
        except StoreFailed as error:  # to look is no need: the job delivers them in the end
            get_run_logger().debug("the trials so far cannot be read: %s", error)
            return
        if len(trials) > self._listed:
            folder = run_folder(self._platform.settings, self._run.name)
            publish_trial_table(folder, job["TrainingJobName"], cast(Sequence[Trial], trials))
            self._listed = len(trials)

    def _say(self, metrics: Mapping[str, float]) -> None:
        done = int(metrics.get(_DONE, 0))
        if done <= self._done:
            return
        self._done, trials = done, int(metrics.get(_OF, self._trials))
        self._progress.of(done, trials)
        best = metrics.get(_BEST, math.nan)
        get_run_logger().info(
            "%d of %d trials done, best %s %.4f", done, trials, contract.OBJECTIVE_METRIC, best
        )


def _fetch(platform: Platform, job: TrainingJob, folder: Path) -> PackedSearch:
    """Download the output of a search, and return it."""
    unpack_output(platform, output_uri_of(job), folder, name=SEARCH_FOLDER)
    try:
        return read_packed_search(folder / SEARCH_FOLDER)
    except ValueError as error:
        name = job["TrainingJobName"]
        raise JobFailed(
            f"packed search {name!r} delivered no trials: {ended(error)} See its log with "
            f"`whippet logs {name}`"
        ) from error


@task(name="best of packed search", task_run_name="take the best of {name}", **policy(300))
def best_of_packed_search(run: RunIdentity, name: str, tuning: TuningParameters) -> BestTrial:
    """Return the best trial with typed hyperparameters; publish them, edges flagged.

    Raises:
        JobFailed: no trial of the search has an objective.
    """
    platform = connect()
    folder = run_folder(platform.settings, run.name) / SEARCH_FOLDER
    summary = read_packed_search(folder).best
    if summary is None:
        raise JobFailed(
            f"packed search {name!r} has no best trial: in none did {contract.OBJECTIVE_METRIC!r} "
            f"stay finite. Search lower learning rates, or see its log with `whippet logs {name}`"
        )
    job = platform.sagemaker.describe_training_job(TrainingJobName=name)
    shared = {k: v for k, v in job["HyperParameters"].items() if k != SEARCH_HYPERPARAMETER}
    values = {**shared, **summary["TunedHyperParameters"]}
    chosen = chosen_network(folder)
    choice = read_networks_file(folder)
    if chosen is not None and choice is not None:
        price = endpoint_price(read_run(platform.settings, run.name))
        create_markdown_artifact(choice_markdown(choice, price), key="network")
        values["model"] = chosen.architecture
        record(platform.settings, run, RunFacts(network=chosen))
        get_run_logger().info("network %s, chosen among %d", chosen.network, chosen.among)
    best = best_trial(name, cast(Trial, summary), values, tuning)
    best = best.model_copy(update={"network": chosen.network if chosen else None})
    publish_best(run, best)
    _forget_progress(platform, job)
    return best


def _forget_progress(platform: Platform, job: TrainingJob) -> None:
    """Delete what another attempt would have gone on with; where that fails, it only takes room."""
    try:
        remove_progress(platform, job)
    except StoreFailed as error:
        get_run_logger().warning("the progress of the search is left behind: %s", clause(error))
