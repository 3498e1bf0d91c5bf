"""The request of the instrumented training job, and what a described job left behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from platforms import Platform
from platforms.errors import JobFailed
from platforms.job_status import TERMINAL
from platforms.sagemaker_requests import TrainingRequest
from platforms.sagemaker_types import TrainingJob
from sm_entrypoints import contract
from sm_entrypoints.contract.sentences import ended
from sm_entrypoints.contract.wire import Value
from tasks.parameters.run import ModelParameters, ResourceParameters, TrainingParameters
from tasks.parameters.values import require_batches
from tasks.requests.bodies import JobInputs, training_job_request
from tasks.requests.create_or_adopt import TRAINING_JOB
from tasks.requests.inputs import TrainingInputs
from tasks.requests.placement import placement_of
from tasks.requests.tags import FLOW_RUN_TAG, RUN_TAG
from tasks.requests.waiting import Pace, wait_until
from tasks.runs.names import RunIdentity, resource_name
from tasks.runs.record_parts import TrainedModel

# A job that waits for capacity or downloads an image has not started its own clock yet.
GRACE_SECONDS = 3600.0


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
        features_uri=inputs.features_uri,
        resources=resources,
        checkpoint_uri=f"{root}/checkpoints/{checkpoints}" if checkpoints else None,
        placement=placement_of(platform.settings),
        tags=run_tags(run, platform.settings.tags),
    )


def base_hyperparameters(model: ModelParameters, inputs: TrainingInputs) -> dict[str, Value]:
    """Return the hyperparameters that follow from the choice of model."""
    return {
        "model": model.first.architecture,
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


def training_requests(
    platform: Platform,
    run: RunIdentity,
    *,
    inputs: TrainingInputs,
    hyperparameters: Mapping[str, Value],
    training: TrainingParameters,
    resources: ResourceParameters,
) -> Callable[[int], TrainingRequest]:
    """Return what gives the request of the run's training job by attempt, from 1."""
    job = job_inputs(platform, run, inputs, resources, checkpoints=run.prefix)
    return lambda attempt: training_job_request(
        resource_name(run, "train", attempt), hyperparameters, job, training
    )


def wait_for(
    platform: Platform,
    noun: str,
    name: str,
    seconds: float,
    watch: Callable[[TrainingJob], None],
    interrupt: Callable[[], None],
) -> TrainingJob:
    """Return a training job as it ended, in whatever status; ``noun`` is what people call it."""
    return wait_until(
        lambda: platform.sagemaker.describe_training_job(TrainingJobName=name),
        lambda found: found["TrainingJobStatus"] in TERMINAL,
        what=f"{noun} {name!r}",
        pace=Pace(
            slowest=platform.defaults.poll_seconds,
            deadline=seconds + GRACE_SECONDS,
            interrupt=interrupt,
        ),
        watch=watch,
    )


def require_completed(job: TrainingJob) -> None:
    """Raise JobFailed, with the job's own reason, unless a training job is Completed."""
    status = job["TrainingJobStatus"]
    if status == "Completed":
        return
    name = job["TrainingJobName"]
    reason = job.get("FailureReason") or job.get("SecondaryStatus", "no reason given")
    raise JobFailed(
        f"training job {name!r} ended {status}: {ended(reason)} See its log with `whippet logs "
        f"{name}`"
    )


def final_metrics(job: TrainingJob) -> dict[str, float]:
    """Return the last value of each metric of a training job."""
    return {m["MetricName"]: float(m["Value"]) for m in job.get("FinalMetricDataList", [])}


def output_uri_of(job: TrainingJob) -> str:
    """Return where a training job's output.tar.gz lies, once it has ended."""
    folder = job["OutputDataConfig"]["S3OutputPath"].rstrip("/")
    return f"{folder}/{job['TrainingJobName']}/output/output.tar.gz"


def finished_model(platform: Platform, name: str) -> TrainedModel:
    """Return what a finished training job left behind.

    Raises:
        JobFailed: there is no such job, or it did not complete.
    """
    job = TRAINING_JOB.describe(platform.sagemaker, name)
    if job is None:
        raise JobFailed(f"there is no training job {name!r}: see `whippet jobs`")
    require_completed(job)
    return trained_model(job)


def trained_model(job: TrainingJob) -> TrainedModel:
    """Return what a described, completed training job left behind."""
    channels = {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"].rstrip("/")
        for channel in job.get("InputDataConfig", [])
    }
    return TrainedModel(
        job=job["TrainingJobName"],
        model_data_uri=job["ModelArtifacts"]["S3ModelArtifacts"],
        output_uri=output_uri_of(job),
        test_uri=channels.get(contract.TEST_CHANNEL, ""),
        metrics=final_metrics(job),
        billable_seconds=int(job.get("BillableTimeInSeconds", 0)),
    )
