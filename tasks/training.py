"""Tasks of the instrumented training job: launch or adopt, follow, summarise."""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import ClientError
from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact

from platforms import Platform, Settings, connect
from platforms.sagemaker_requests import TrainingRequest
from platforms.sagemaker_types import TrainingJob
from sm_entrypoints import contract
from sm_entrypoints.contract.wire import Value
from tasks.cancelling.watch import CancelWatch, end_if_stopped
from tasks.costs.ledger import note_jobs, spent_jobs
from tasks.dataset.sameness import require_same_data
from tasks.parameters.run import ResourceParameters, TrainingParameters
from tasks.report.fine_tuning import fine_tuning_markdown
from tasks.requests.create_or_adopt import TRAINING_JOB, B, D, Resource, create_or_adopt, past
from tasks.requests.debugger import DebuggerFallback
from tasks.requests.fine_tuning import better_model, fine_tuning_requests
from tasks.requests.inputs import TrainingInputs
from tasks.requests.paired_gain import paired_gain, read_validation, validation_of
from tasks.requests.training import (
    final_metrics,
    finished_model,
    require_completed,
    trained_model,
    training_requests,
    wait_for,
)
from tasks.runs.names import RunIdentity
from tasks.runs.output import unpack_output
from tasks.runs.progress import Progress
from tasks.runs.record import HEAD_FOLDER, record, redone_jobs, run_folder
from tasks.runs.record_model import RunFacts
from tasks.runs.record_parts import DebuggerRefusal, TrainedModel
from tasks.runs.task_policy import DAY, policy


@task(
    name="launch fine-tuning job",
    task_run_name="launch fine-tuning on {inputs.dataset}",
    **policy(600),
)
def launch_fine_tuning(
    run: RunIdentity,
    inputs: TrainingInputs,
    hyperparameters: dict[str, Value],
    training: TrainingParameters,
    resources: ResourceParameters,
) -> str:
    """Create the job that trains all layers, or adopt the one of this run; return its name."""
    name = _launch(fine_tuning_requests, run, inputs, hyperparameters, training, resources)
    record(Settings(), run, RunFacts(jobs={"fine_tuning": name}))
    get_run_logger().info("fine-tuning job %s", name)
    return name


@task(name="follow fine-tuning job", task_run_name="follow {name}", **policy(6 * DAY))
def follow_fine_tuning(
    run: RunIdentity,
    head: TrainedModel,
    name: str,
    hyperparameters: dict[str, Value],
    resources: ResourceParameters,
) -> TrainedModel:
    """Wait for the job that trains all layers; return its model if it is better, else the head's.

    A job that fails is no failure of the run, which has a model already.
    """
    platform = connect()
    job = _follow(platform, name, hyperparameters, resources)
    note_jobs(platform, run, "finetune", [name])
    end_if_stopped(job["TrainingJobStatus"])
    folder = run_folder(platform.settings, run.name)
    # What the head's training told of the pictures is told, whichever model is kept.
    unpack_output(platform, head.output_uri, folder, name=HEAD_FOLDER)
    before = read_validation(folder / HEAD_FOLDER)
    found, kept = better_model(
        head, job, lambda tuned: paired_gain(before, validation_of(platform, tuned.output_uri))
    )
    facts = RunFacts(fine_tuning=found, training=kept, jobs={"training": kept.job})
    record(platform.settings, run, facts)
    create_markdown_artifact(fine_tuning_markdown(found), key="fine-tuning")
    get_run_logger().info("%s", found.sentence)
    return kept


@task(
    name="launch training job", task_run_name="launch training on {inputs.dataset}", **policy(600)
)
def launch_training_job(
    run: RunIdentity,
    inputs: TrainingInputs,
    hyperparameters: dict[str, Value],
    training: TrainingParameters,
    resources: ResourceParameters,
) -> str:
    """Create the training job, or adopt the one of this run; return its name."""
    name = _launch(training_requests, run, inputs, hyperparameters, training, resources)
    seeds = {"training": hyperparameters.get("seed", 0)}
    record(Settings(), run, RunFacts(jobs={"training": name}, seeds=seeds))
    get_run_logger().info("training job %s", name)
    return name


def _launch(
    of_job: Callable[..., Callable[[int], TrainingRequest]],
    run: RunIdentity,
    inputs: TrainingInputs,
    hyperparameters: dict[str, Value],
    training: TrainingParameters,
    resources: ResourceParameters,
) -> str:
    """Create an instrumented job, or adopt the one of this run; return its name."""
    platform = connect()
    requests = of_job(
        platform,
        run,
        inputs=inputs,
        hyperparameters=hyperparameters,
        training=training,
        resources=resources,
    )
    fallback = DebuggerFallback(insist=training.debugger == "on")
    name = launch(platform, run, TRAINING_JOB, requests, fallback)
    if fallback.reason is not None:
        _note_refusal(platform, run, fallback.reason)
    return name


def launch(
    platform: Platform,
    run: RunIdentity,
    resource: Resource[B, D],
    requests: Callable[[int], B],
    relax: Callable[[B, ClientError], B | None] = lambda _request, _error: None,
) -> str:
    """Create a job over the run's data, or adopt the one of this run; return its name."""
    spent = spent_jobs(platform.settings, run)
    require_same_data(platform, run)
    requests = past(requests, resource, redone_jobs(platform.settings, run))
    told = get_run_logger().warning
    return create_or_adopt(platform.sagemaker, resource, requests, relax, spent, told)


def _note_refusal(platform: Platform, run: RunIdentity, reason: str) -> None:
    refusal = DebuggerRefusal(used=False, reason=reason)
    record(platform.settings, run, RunFacts(managed_debugger=refusal))
    get_run_logger().warning(
        "SageMaker refused its Debugger, so the job runs without it (our own instrumentation "
        "does not need it; --debugger off does not request it): %s",
        reason,
    )


@task(name="follow training job", task_run_name="follow {name}", **policy(6 * DAY))
def follow_training_job(
    run: RunIdentity,
    name: str,
    hyperparameters: dict[str, Value],
    resources: ResourceParameters,
) -> TrainedModel:
    """Wait for the training job, showing its progress; return its artifacts.

    Raises:
        JobFailed: it ended in any status but Completed; names the reason and the log.
    """
    platform = connect()
    job = _follow(platform, name, hyperparameters, resources)
    note_jobs(platform, run, "train", [name])
    end_if_stopped(job["TrainingJobStatus"])
    require_completed(job)
    trained = trained_model(job)
    record(platform.settings, run, RunFacts(training=trained))
    return trained


def _follow(
    platform: Platform,
    name: str,
    hyperparameters: dict[str, Value],
    resources: ResourceParameters,
) -> TrainingJob:
    """Wait for a training job, showing its progress; return it as it ended."""
    epochs = hyperparameters.get("epochs")
    epochs = epochs if isinstance(epochs, int) else 0
    with Progress("training-progress", f"Training job {name}") as progress:
        watch = _EpochWatch(progress, epochs).show
        seconds, interrupt = resources.longest_seconds, CancelWatch().look
        job = wait_for(platform, "training job", name, seconds, watch, interrupt)
        if job["TrainingJobStatus"] != "Completed":
            progress.stay()
        return job


class _EpochWatch:
    """Shows a training job's progress: a line of the log for the newest epoch at each look."""

    def __init__(self, progress: Progress, epochs: int) -> None:
        self._progress, self._epochs, self._epoch = progress, epochs, 0

    def show(self, job: TrainingJob) -> None:
        """Show the job's last epoch, if it is new."""
        metrics = final_metrics(job)
        epoch = int(metrics.get("epoch", 0))
        if epoch <= self._epoch:  # at the end the delivered epoch is said once more
            return
        self._epoch = epoch
        if self._epochs:  # else the script's own default, which only the script knows
            self._progress.of(epoch, self._epochs)
        get_run_logger().info(
            "epoch %d of %s: valid:loss %.4f, valid:accuracy %.3f",
            epoch,
            self._epochs or "?",
            metrics.get(contract.OBJECTIVE_METRIC, float("nan")),
            metrics.get("valid:accuracy", float("nan")),
        )


@task(name="describe training job", task_run_name="look at {name}", **policy(300))
def describe_trained(name: str) -> TrainedModel:
    """Return the artifacts of a finished training job.

    Raises:
        JobFailed: there is no such job, or it did not complete.
    """
    return finished_model(connect(), name)
