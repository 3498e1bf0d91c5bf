"""One batch transform of a folder of pictures, step by step: launch, follow, clean up."""

from __future__ import annotations

from collections.abc import Callable, Container
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

from botocore.exceptions import ClientError

from platforms import Platform, Settings
from platforms.errors import DeadlinePassed, JobFailed
from platforms.job_status import TERMINAL
from platforms.sagemaker_requests import ModelRequest, TransformRequest
from platforms.sagemaker_types import TransformJob
from tasks.endpoints.requests import ModelInputs, model_request
from tasks.parameters.run import DeploymentParameters
from tasks.requests.create_or_adopt import MODEL, TRANSFORM_JOB, create_or_adopt
from tasks.requests.placement import placement_of
from tasks.requests.training import finished_model, run_tags
from tasks.requests.waiting import Pace, wait_until
from tasks.runs.names import RunIdentity, resource_name, run_token
from tasks.runs.record import read_run
from tasks.runs.record_parts import TrainedModel
from tasks.storage.listing import list_objects
from tasks.storage.uris import split_uri
from tasks.transform.parameters import TransformParameters
from tasks.transform.pictures import Pictures, upload
from tasks.transform.request import folder_uri, output_uri, transform_job_request

# Time to fetch image and model on AWS, before the job's own work begins.
_START_SECONDS = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a transform job ended: its status, and the service's reason if it gave one."""

    job: str
    status: str
    reason: str | None


def model_to_ask(platform: Platform, training_job: str | None) -> TrainedModel:
    """Return the model of a training job; by default, of the latest run's.

    Raises:
        JobFailed: there is no such job, it did not complete, or no run has trained one.
    """
    return finished_model(platform, training_job or _latest_job(platform.settings))


def _latest_job(settings: Settings) -> str:
    try:
        trained = read_run(settings, "latest").training
    except FileNotFoundError:
        trained = None
    if trained is None:
        raise JobFailed(
            "the latest run has no trained model: give --training-job NAME, see `whippet jobs`"
        )
    return trained.job


def identity_of(trained: TrainedModel, pictures: Pictures, top_k: int) -> RunIdentity:
    """Return an identity that is the same for the same request to the same model. Repeating a
    request after a kill therefore finds the launched job, which is paid for only once.
    """
    question = f"{trained.model_data_uri}\0{pictures.digest}\0{top_k}"
    digest = sha256(question.encode()).hexdigest()
    return RunIdentity(name="batch", token=run_token(digest), flow_run_id=digest[:36])


def send_pictures(platform: Platform, pictures: Pictures) -> int:
    """Bring the pictures to the bucket; return how many were not there yet."""
    bucket, prefix = split_uri(f"{folder_uri(platform, pictures)}/in")
    return upload(pictures, platform.store(bucket), prefix)


def launch(
    platform: Platform,
    run: RunIdentity,
    trained: TrainedModel,
    pictures: Pictures,
    parameters: TransformParameters,
) -> str:
    """Create model and transform job, or adopt those of the same name; return the job's name.

    A job that failed for some pictures is not paid for twice: it is adopted, and its end is
    reported. One that gave no answer at all is followed by another attempt.
    """
    create_or_adopt(
        platform.sagemaker,
        MODEL,
        lambda _: _model(platform, run, trained, parameters),
    )

    def request(attempt: int) -> TransformRequest:
        return transform_job_request(platform, run, pictures, parameters, attempt)

    return create_or_adopt(
        platform.sagemaker,
        TRANSFORM_JOB,
        request,
        spent=_WithoutAnswers(platform, pictures),
    )


def _model(
    platform: Platform, run: RunIdentity, trained: TrainedModel, parameters: TransformParameters
) -> ModelRequest:
    inputs = ModelInputs(
        image=platform.defaults.inference_image_for(parameters.instance_type),
        role_arn=platform.defaults.role_arn,
        model_data_uri=trained.model_data_uri,
        placement=placement_of(platform.settings),
        tags=run_tags(run, platform.settings.tags),
    )
    answers = DeploymentParameters(top_k=parameters.top_k)
    return model_request(resource_name(run, "model"), inputs, answers)


class _WithoutAnswers(Container[str]):
    """The names of the ended transform jobs that answered nothing."""

    def __init__(self, platform: Platform, pictures: Pictures) -> None:
        self._platform, self._pictures = platform, pictures

    def __contains__(self, name: object) -> bool:
        bucket, prefix = split_uri(output_uri(self._platform, self._pictures, str(name)))
        return not list_objects(self._platform.store(bucket), prefix)


def follow(
    platform: Platform,
    job: str,
    max_seconds: int,
    watch: Callable[[TransformJob], None] = lambda _: None,
    interrupt: Callable[[], None] = lambda: None,
) -> Ended:
    """Wait for a transform job's end; the job is stopped if it exceeds its time or the wait ends.

    Raises:
        DeadlinePassed: it did not end in time; it was asked to stop.
    """
    try:
        last_answer = wait_until(
            lambda: platform.sagemaker.describe_transform_job(TransformJobName=job),
            lambda description: description["TransformJobStatus"] in TERMINAL,
            what=f"transform job {job!r}",
            pace=Pace(
                slowest=platform.defaults.poll_seconds,
                deadline=max_seconds + (_START_SECONDS if platform.bills else 0.0),
                interrupt=interrupt,
            ),
            watch=watch,
        )
    except (DeadlinePassed, KeyboardInterrupt):
        stop(platform, job)
        raise
    return Ended(
        job=job, status=last_answer["TransformJobStatus"], reason=last_answer.get("FailureReason")
    )


def stop(platform: Platform, job: str) -> None:
    """Ask a transform job to stop, if it still runs."""
    with suppress(ClientError):
        platform.sagemaker.stop_transform_job(TransformJobName=job)


def remove_model(platform: Platform, run: RunIdentity) -> None:
    """Remove the model that the job was created with, if it still exists."""
    MODEL.delete(platform.sagemaker, resource_name(run, "model"))


def require_answers(ended: Ended, answered: int) -> None:
    """Raise JobFailed when a job gave no answer at all."""
    if answered == 0:
        raise JobFailed(
            f"transform job {ended.job!r} ended {ended.status} without an answer: "
            f"{ended.reason or 'no reason given'}"
        )
