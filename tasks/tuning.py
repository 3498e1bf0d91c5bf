"""Tasks of the tuning job: launch or adopt, follow its trials, take the best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from dashboards.files.trials import read_trial
from dashboards.files.writing import as_csv
from platforms import Platform, Settings, connect
from platforms.errors import JobFailed
from platforms.files import write_atomically, write_json
from platforms.job_status import TERMINAL
from platforms.sagemaker_types import Trial, TuningJob
from sm_entrypoints import contract
from sm_entrypoints.contract.sentences import counted, ended
from tasks.cancelling.watch import CancelWatch, end_if_stopped
from tasks.costs.ledger import note_jobs
from tasks.parameters.run import ModelParameters, ResourceParameters, TuningParameters
from tasks.requests.create_or_adopt import TUNING_JOB
from tasks.requests.inputs import TrainingInputs
from tasks.requests.training import GRACE_SECONDS
from tasks.requests.tuning import (
    best_markdown,
    best_trial,
    fixed_hyperparameters,
    list_trials,
    search_requests,
)
from tasks.requests.waiting import Pace, wait_until
from tasks.runs.names import RunIdentity
from tasks.runs.progress import Progress
from tasks.runs.record import TRIALS_FILE, TRIALS_JSON, record, run_folder
from tasks.runs.record_model import RunFacts
from tasks.runs.record_parts import BestTrial
from tasks.runs.task_policy import DAY, policy
from tasks.training import launch


@task(name="launch tuning job", task_run_name="launch search on {inputs.dataset}", **policy(600))
def launch_tuning_job(
    run: RunIdentity,
    inputs: TrainingInputs,
    model: ModelParameters,
    tuning: TuningParameters,
    resources: ResourceParameters,
) -> str:
    """Create the tuning job, or adopt the one of this run; return its name."""
    platform = connect()
    requests = search_requests(
        platform, run, inputs=inputs, model=model, tuning=tuning, resources=resources
    )
    name = launch(platform, run, TUNING_JOB, requests)
    fixed = fixed_hyperparameters(model, inputs, tuning)
    seeds = {"search": tuning.seed, "trials": fixed["seed"]}
    record(platform.settings, run, RunFacts(jobs={"tuning": name}, seeds=seeds))
    get_run_logger().info("tuning job %s", name)
    return name


@task(name="follow tuning job", task_run_name="follow {name}", **policy(6 * DAY))
def follow_tuning_job(
    run: RunIdentity, name: str, tuning: TuningParameters, resources: ResourceParameters
) -> None:
    """Wait for the tuning job; the trial table and the progress move as its trials end.

    Raises:
        JobFailed: it ended in any status but Completed.
    """
    platform = connect()
    rounds = math.ceil(tuning.trials() / tuning.max_parallel_jobs)
    with Progress("tuning-progress", f"Tuning job {name}") as progress:
        table = _TrialTable(platform, run, name)

        def watch(found: TuningJob) -> None:
            done = table.update(found)
            progress.of(done, tuning.trials())

        job = wait_until(
            lambda: platform.sagemaker.describe_hyper_parameter_tuning_job(
                HyperParameterTuningJobName=name
            ),
            lambda found: found["HyperParameterTuningJobStatus"] in TERMINAL,
            what=f"tuning job {name!r}",
            pace=Pace(
                slowest=platform.defaults.poll_seconds,
                deadline=rounds * resources.longest_seconds + GRACE_SECONDS,
                interrupt=CancelWatch().look,
            ),
            watch=watch,
        )
        end_if_stopped(job["HyperParameterTuningJobStatus"])
        _require_completed(job)


def _require_completed(job: TuningJob) -> None:
    status = job["HyperParameterTuningJobStatus"]
    if status != "Completed":
        name = job["HyperParameterTuningJobName"]
        reason = job.get("FailureReason") or "no reason given"
        raise JobFailed(
            f"tuning job {name!r} ended {status}: {ended(reason)} See its trials with `whippet "
            "jobs`"
        )


class _TrialTable:
    """The trial table of a tuning job: published again each time that a trial ends."""

    def __init__(self, platform: Platform, run: RunIdentity, name: str) -> None:
        self._platform, self._run, self._name = platform, run, name
        self._done = -1

    def update(self, job: TuningJob) -> int:
        """Publish the trials when their number changed; return how many have ended."""
        counters = job["TrainingJobStatusCounters"]
        ends = ("Completed", "Stopped", "NonRetryableError")
        done = sum(int(str(counters.get(end, 0))) for end in ends)
        if done != self._done:
            trials = publish_trials(self._platform, self._run, self._name)
            ended = [t["TrainingJobName"] for t in trials if t["TrainingJobStatus"] in TERMINAL]
            note_jobs(self._platform, self._run, "tune", ended)
            self._done = done
            get_run_logger().info("%s done%s", counted(done, "trial"), _best_so_far(job))
        return done


def _best_so_far(job: TuningJob) -> str:
    metric = job.get("BestTrainingJob", {}).get("FinalHyperParameterTuningJobObjectiveMetric")
    return f", best {metric['MetricName']} {metric['Value']:.4f}" if metric else ""


def publish_trials(platform: Platform, run: RunIdentity, name: str) -> list[Trial]:
    """Write the trials of a tuning job to the run's folder and to the trial table; return them."""
    trials = list_trials(platform, name)
    publish_trial_table(run_folder(platform.settings, run.name), name, trials)
    return trials


def publish_trial_table(folder: Path, search: str, trials: Sequence[Trial]) -> None:
    """Write the trials of a search to the run's folder and to the trial table."""
    write_json(folder / TRIALS_JSON, trials)
    rows = [read_trial(trial).line() for trial in trials]
    write_atomically(folder / TRIALS_FILE, as_csv(pd.DataFrame(rows)))
    if rows:
        create_table_artifact(rows, key="trials", description=f"Trials of {search}")


@task(name="best hyperparameters", task_run_name="take the best of {name}", **policy(300))
def best_hyperparameters(run: RunIdentity, name: str, tuning: TuningParameters) -> BestTrial:
    """Return the best trial with typed hyperparameters; publish them, edges flagged.

    Raises:
        JobFailed: no trial of the tuning job has an objective.
    """
    platform = connect()
    job = platform.sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    summary = job.get("BestTrainingJob")
    if not summary or "FinalHyperParameterTuningJobObjectiveMetric" not in summary:
        raise JobFailed(
            f"tuning job {name!r} has no best trial: none printed {contract.OBJECTIVE_METRIC!r}. "
            "See `whippet jobs` for its trials and `whippet logs TRIAL` for their logs"
        )
    trial = platform.sagemaker.describe_training_job(TrainingJobName=summary["TrainingJobName"])
    best = best_trial(name, summary, trial["HyperParameters"], tuning)
    publish_best(run, best)
    return best


def publish_best(run: RunIdentity, best: BestTrial) -> None:
    """Write the best trial to the run's record and publish it, edges flagged."""
    record(Settings(), run, RunFacts(best=best))
    create_markdown_artifact(best_markdown(best), key="best-hyperparameters")
    for hyperparameter, edge in best.edges.items():
        get_run_logger().warning(
            "best %s is at the %s edge of its range: widen the range", hyperparameter, edge
        )
