"""Tasks of the instrumented training job: launch or adopt, follow, summarise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prefect import get_run_logger, task
from pydantic import BaseModel, ConfigDict

from platforms import Platform, connect
from platforms.errors import JobFailed
from platforms.job_status import TERMINAL
from sm_entrypoints import contract
from sm_entrypoints.contract.sentences import ended
from tasks.cancelling.watch import CancelWatch, end_if_cancelled
from tasks.costs.ledger import note_jobs, spent_jobs
from tasks.data import TrainingInputs
from tasks.dataset.sameness import require_same_data
from tasks.parameters.ranges import Value
from tasks.parameters.run import ModelParameters, ResourceParameters, TrainingParameters
from tasks.parameters.values import require_batches
from tasks.requests.bodies import FLOW_RUN_TAG, RUN_TAG, JobInputs, Request, training_job_request
from tasks.requests.create_or_adopt import TRAINING_JOB, create_or_adopt
from tasks.requests.debugger import DebuggerFallback
from tasks.requests.placement import placement_of
from tasks.requests.waiting import Pace, wait_until
from tasks.runs.names import RunIdentity, resource_name
from tasks.runs.progress import Progress
from tasks.runs.record import record
from tasks.runs.task_policy import DAY, policy

# A job that waits for capacity or downloads an image has not started its own clock yet.
GRACE_SECONDS = 3600.0


class TrainedModel(BaseModel):
    """A finished training job and where its artifacts lie."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    job: str
    model_data_uri: str
    output_uri: str
    test_uri: str
    metrics: dict[str, float]
    billable_seconds: int


def run_tags(run: RunIdentity, own: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the tags of everything that a run creates; ``own`` are the user's (WHIPPET_TAGS)."""
    return {**(own or {}), RUN_TAG: run.name, FLOW_RUN_TAG: run.flow_run_id}


def job_inputs(
    platform: Platform,
    run: RunIdentity,
    inputs: TrainingInputs,
    resources: ResourceParameters,
    *,
    checkpoints: str | None,
) -> JobInputs:
    """Return what the platform and the run contribute to a job's request.

    ``checkpoints`` is the prefix below ``checkpoints/`` that the job resumes from; None for none.
    """
    root = f"s3://{platform.defaults.bucket}/{platform.settings.prefix}"
    return JobInputs(
        image=platform.defaults.training_image_for(resources.instance_type),
        role_arn=platform.defaults.role_arn,
        source_uri=inputs.source_uri,
        data_uri=inputs.data_uri,
        output_uri=f"{root}/jobs",
        weights_uri=inputs.weights_uri,
        resources=resources,
        checkpoint_uri=f"{root}/checkpoints/{checkpoints}" if checkpoints else None,
        placement=placement_of(platform.settings),
        tags=run_tags(run, platform.settings.tags),
    )


def base_hyperparameters(model: ModelParameters, inputs: TrainingInputs) -> dict[str, Value]:
    """Return the hyperparameters that follow from the choice of model."""
    return {
        "model": model.architecture,
        "trainable": model.trained_layers,
        "image_size": model.image_size,
        "weights": "channel" if inputs.weights_uri else "none",
    }


def final_hyperparameters(
    model: ModelParameters,
    inputs: TrainingInputs,
    training: TrainingParameters,
    best: Mapping[str, Value],
) -> dict[str, Value]:
    """Return the hyperparameters of the instrumented job: the best ones, then the user's own.

    Raises:
        ParameterError: the network cannot learn from batches of that size.
    """
    values = {**base_hyperparameters(model, inputs), **best}
    if training.epochs is not None:
        values["epochs"] = training.epochs
    if training.rules:
        actions = (f"{rule}={action}" for rule, action in sorted(training.rules.items()))
        values["rules"] = ",".join(actions)
    values |= {"instrumentation": "on", **training.hyperparameters}
    require_batches(values, {})
    return values


@task(name="launch training job", **policy(600))
def launch_training_job(
    run: RunIdentity,
    inputs: TrainingInputs,
    hyperparameters: dict[str, Value],
    training: TrainingParameters,
    resources: ResourceParameters,
) -> str:
    """Create the training job, or adopt the one of this run; return its name."""
    platform = connect()
    requests = training_requests(platform, run, inputs, hyperparameters, training, resources)
    fallback = DebuggerFallback(insist=training.debugger == "on")
    spent = spent_jobs(platform.settings, run)
    require_same_data(platform, run)
    name = create_or_adopt(platform.sagemaker, TRAINING_JOB, requests, fallback, spent)
    if fallback.reason is not None:
        _note_refusal(platform, run, fallback.reason)
    seeds = {"training": hyperparameters.get("seed", 0)}
    record(platform.settings, run, {"jobs": {"training": name}, "seeds": seeds})
    get_run_logger().info("training job %s", name)
    return name


def _note_refusal(platform: Platform, run: RunIdentity, reason: str) -> None:
    record(platform.settings, run, {"managed_debugger": {"used": False, "reason": reason}})
    get_run_logger().warning(
        "SageMaker refuses its Debugger here, the job runs without (our own instrumentation does "
        "not need it; --debugger off does not ask): %s",
        reason,
    )


def training_requests(
    platform: Platform,
    run: RunIdentity,
    inputs: TrainingInputs,
    hyperparameters: Mapping[str, Value],
    training: TrainingParameters,
    resources: ResourceParameters,
) -> Callable[[int], Request]:
    """Return what gives the request of the run's training job by attempt, from 1."""
    job = job_inputs(platform, run, inputs, resources, checkpoints=run.prefix)
    return lambda attempt: training_job_request(
        resource_name(run, "train", attempt), hyperparameters, job, training
    )


@task(name="follow training job", **policy(6 * DAY))
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
    epochs = hyperparameters.get("epochs")
    epochs = epochs if isinstance(epochs, int) else 0
    with Progress("training-progress", f"Training job {name}") as progress:
        job = wait_until(
            lambda: platform.sagemaker.describe_training_job(TrainingJobName=name),
            lambda found: found["TrainingJobStatus"] in TERMINAL,
            what=f"training job {name!r}",
            pace=Pace(
                slowest=platform.defaults.poll_seconds,
                deadline=resources.longest_seconds + GRACE_SECONDS,
                interrupt=CancelWatch().look,
            ),
            watch=_EpochWatch(progress, epochs).show,
        )
        note_jobs(platform, run, "train", [name])
        if job["TrainingJobStatus"] == "Stopped":
            end_if_cancelled()
        require_completed(job)
    trained = trained_model(job)
    record(platform.settings, run, {"training": trained.model_dump()})
    return trained


class _EpochWatch:
    """Shows a training job's progress: a line of the log for the newest epoch at each look."""

    def __init__(self, progress: Progress, epochs: int) -> None:
        self._progress, self._epochs, self._epoch = progress, epochs, 0

    def show(self, job: Mapping[str, Any]) -> None:
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


@task(name="describe training job", **policy(300))
def describe_trained(name: str) -> TrainedModel:
    """Return the artifacts of a finished training job.

    Raises:
        JobFailed: there is no such job, or it did not complete.
    """
    platform = connect()
    job = TRAINING_JOB.describe(platform.sagemaker, name)
    if job is None:
        raise JobFailed(f"there is no training job {name!r}: see `whippet jobs`")
    require_completed(job)
    return trained_model(job)


def require_completed(job: Mapping[str, Any]) -> None:
    """Raise JobFailed, with the job's own reason, unless a training job is Completed."""
    status = job["TrainingJobStatus"]
    if status == "Completed":
        return
    name = job["TrainingJobName"]
    reason = job.get("FailureReason") or job.get("SecondaryStatus", "no reason given")
    raise JobFailed(
        f"training job {name!r} ended {status}: {ended(reason)} Log: `whippet logs {name}`"
    )


def final_metrics(job: Mapping[str, Any]) -> dict[str, float]:
    """Return the last value of each metric of a training job."""
    return {m["MetricName"]: float(m["Value"]) for m in job.get("FinalMetricDataList", [])}


def trained_model(job: Mapping[str, Any]) -> TrainedModel:
    """Return what a described, completed training job left behind."""
    output = job["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    channels = {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"].rstrip("/")
        for channel in job.get("InputDataConfig", [])
    }
    return TrainedModel(
        job=job["TrainingJobName"],
        model_data_uri=job["ModelArtifacts"]["S3ModelArtifacts"],
        output_uri=f"{output}/{job['TrainingJobName']}/output/output.tar.gz",
        test_uri=channels.get(contract.TEST_CHANNEL, ""),
        metrics=final_metrics(job),
        billable_seconds=int(job.get("BillableTimeInSeconds", 0)),
    )
