"""Tasks of the endpoint: create or adopt, wait, smoke-test with labelled images, query, remove."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError
from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from pydantic import BaseModel, ConfigDict

from dashboards.tables import markdown_table
from platforms import Platform, connect
from platforms.errors import DataError, EndpointFailed
from tasks.adoption import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    Resource,
    create_or_adopt,
    is_not_found,
)
from tasks.naming import RunIdentity, Step, resource_name
from tasks.parameters import DeploymentParameters
from tasks.policy import policy
from tasks.requests import (
    EXPIRES_TAG,
    ModelInputs,
    Request,
    endpoint_config_request,
    endpoint_request,
    model_request,
)
from tasks.runs import PREDICTIONS_FILE, record, run_folder
from tasks.storage import read_object
from tasks.training import TrainedModel, run_tags
from tasks.waiting import Pace, wait_until

_DEADLINE_SECONDS = 1800.0
_IN_TRANSITION = ("Creating", "Updating", "SystemUpdating", "RollingBack")
_MOST_IMAGE_BYTES = 6 * 1024 * 1024
_CONTENT_TYPES = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}
# A right preprocessing repeats the job's own answers; bf16 kernels may flip a close call.
_LEAST_AGREEMENT = 0.75


class Deployment(BaseModel):
    """An endpoint in service that passed its smoke test."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str
    endpoint_config: str
    model: str
    expires: str
    smoke_images: int
    smoke_agreement: float


class Prediction(BaseModel):
    """An endpoint's answer to one image, most probable label first."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str
    probability: float


@task(name="create endpoint", **policy(3600))
def create_endpoint(
    run: RunIdentity, trained: TrainedModel, deployment: DeploymentParameters
) -> dict[str, str]:
    """Create model, endpoint config and endpoint, or adopt this run's; wait for InService.

    Returns the three names and ``expires``.

    Raises:
        EndpointFailed: it did not come into service; nothing of it is left behind.
    """
    platform = connect()
    expires = datetime.now(UTC) + timedelta(hours=deployment.hours_to_live)
    tags = {**run_tags(run), EXPIRES_TAG: expires.isoformat(timespec="seconds")}
    names = {step: resource_name(run, step) for step in _RESOURCES}
    requests = _requests(platform, names, trained, deployment, tags)
    with _removed_on_failure(platform, names):
        _remove_if_broken(platform, names)
        for step, resource in _RESOURCES.items():
            create_or_adopt(platform.sagemaker, resource, lambda _, step=step: requests[step])
        record(platform.settings, run, {"jobs": {"endpoint": names["endpoint"]}})
        _wait_in_service(platform, names["endpoint"])
    return {**names, "expires": tags[EXPIRES_TAG]}


_RESOURCES: dict[Step, Resource] = {
    "model": MODEL,
    "config": ENDPOINT_CONFIG,
    "endpoint": ENDPOINT,
}


def _requests(
    platform: Platform,
    names: dict[Step, str],
    trained: TrainedModel,
    deployment: DeploymentParameters,
    tags: dict[str, str],
) -> dict[Step, Request]:
    model = ModelInputs(
        image=platform.defaults.inference_image,
        role_arn=platform.defaults.role_arn,
        model_data_uri=trained.model_data_uri,
        tags=tags,
    )
    return {
        "model": model_request(names["model"], model, deployment),
        "config": endpoint_config_request(names["config"], names["model"], deployment, tags),
        "endpoint": endpoint_request(names["endpoint"], names["config"], tags),
    }


@contextmanager
def _removed_on_failure(platform: Platform, names: dict[Step, str]) -> Iterator[None]:
    """Delete endpoint, config and model when the block fails: what bills must not stay behind."""
    try:
        yield
    except BaseException:
        remove_endpoint(platform, names["endpoint"], names["config"], [names["model"]])
        raise


def _remove_if_broken(platform: Platform, names: dict[Step, str]) -> None:
    """Remove what an earlier attempt of this run left Failed; a name can be used once only."""
    found = ENDPOINT.describe(platform.sagemaker, names["endpoint"])
    if found is not None and found["EndpointStatus"] in ("Failed", "OutOfService"):
        remove_endpoint(platform, names["endpoint"], names["config"], [names["model"]])


def _wait_in_service(platform: Platform, name: str) -> None:
    found = wait_until(
        lambda: platform.sagemaker.describe_endpoint(EndpointName=name),
        lambda found: found["EndpointStatus"] in ("InService", "Failed", "OutOfService"),
        what=f"endpoint {name!r}",
        pace=Pace(slowest=platform.defaults.poll_seconds, deadline=_DEADLINE_SECONDS),
    )
    if found["EndpointStatus"] != "InService":
        raise EndpointFailed(
            f"endpoint {name!r} is {found['EndpointStatus']}: "
            f"{found.get('FailureReason', 'no reason given')}"
        )


def remove_endpoint(platform: Platform, endpoint: str, config: str, models: list[str]) -> None:
    """Delete an endpoint with its config and models; what is not there is no error.

    An endpoint in transition cannot be deleted: it is waited for, since it bills.
    """
    _settle(platform, endpoint)
    steps = [
        (platform.sagemaker.delete_endpoint, {"EndpointName": endpoint}),
        (platform.sagemaker.delete_endpoint_config, {"EndpointConfigName": config}),
        *((platform.sagemaker.delete_model, {"ModelName": model}) for model in models),
    ]
    for delete, name in steps:
        try:
            delete(**name)
        except ClientError as error:
            if not is_not_found(error):
                raise


def _settle(platform: Platform, endpoint: str) -> None:
    def status() -> dict[str, Any]:
        return ENDPOINT.describe(platform.sagemaker, endpoint) or {"EndpointStatus": "Deleted"}

    wait_until(
        status,
        lambda found: found["EndpointStatus"] not in _IN_TRANSITION,
        what=f"endpoint {endpoint!r}, which is to be deleted,",
        pace=Pace(slowest=platform.defaults.poll_seconds, deadline=_DEADLINE_SECONDS),
    )


@task(name="smoke-test endpoint", **policy(1800))
def smoke_test_endpoint(
    run: RunIdentity,
    trained: TrainedModel,
    names: dict[str, str],
    deployment: DeploymentParameters,
) -> Deployment:
    """Ask the endpoint about labelled test images; it counts as deployed only if it is right.

    Its answers must be what the training job itself predicted for the same images: then weights,
    classes and preprocessing all survived the way.

    Raises:
        EndpointFailed: an error or too many other answers; the endpoint is removed.
    """
    platform = connect()
    endpoint = names["endpoint"]
    every = {"model": names["model"], "config": names["config"], "endpoint": endpoint}
    with _removed_on_failure(platform, every):  # type: ignore[arg-type]
        samples = _smoke_samples(platform, run, deployment.smoke_images)
        agreed = [
            _answer(platform, endpoint, trained, path) == expected for path, expected in samples
        ]
        share = sum(agreed) / len(agreed)
        if share < _LEAST_AGREEMENT:
            raise EndpointFailed(
                f"endpoint {endpoint!r} answered {sum(agreed)} of {len(agreed)} test images as the "
                f"training job did: its weights, classes or preprocessing differ; it was removed"
            )
    found = Deployment(
        endpoint=endpoint,
        endpoint_config=names["config"],
        model=names["model"],
        expires=names["expires"],
        smoke_images=len(agreed),
        smoke_agreement=share,
    )
    record(platform.settings, run, {"endpoint": found.model_dump()})
    return found


def _smoke_samples(platform: Platform, run: RunIdentity, count: int) -> list[tuple[str, str]]:
    text = (run_folder(platform.settings, run.name) / PREDICTIONS_FILE).read_text("utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    step = max(1, len(rows) // count)
    return [(row["path"], row["predicted"]) for row in rows[::step][:count]]


def _answer(platform: Platform, endpoint: str, trained: TrainedModel, path: str) -> str:
    image = read_object(platform, f"{trained.test_uri}/{path}")
    return ask(platform, endpoint, image, _CONTENT_TYPES[Path(path).suffix.lower()])[0].label


def ask(platform: Platform, endpoint: str, image: bytes, content_type: str) -> list[Prediction]:
    """Return the endpoint's predictions for one image.

    Raises:
        EndpointFailed: the model refused the image or failed; says what it said.
    """
    try:
        answer = platform.runtime.invoke_endpoint(
            EndpointName=endpoint,
            Body=image,
            ContentType=content_type,
            Accept="application/json",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in ("ModelError", "ValidationException"):
            raise EndpointFailed(
                f"endpoint {endpoint!r}: {error.response['Error']['Message']}"
            ) from error
        raise
    body = json.loads(answer["Body"].read())
    return [Prediction(**prediction) for prediction in body["predictions"]]


def read_image(path: Path) -> tuple[bytes, str]:
    """Return an image file's bytes and content type.

    Raises:
        DataError: no such file, not JPEG or PNG by name, empty, or larger than 6 MB.
    """
    content_type = _CONTENT_TYPES.get(path.suffix.lower())
    if not path.is_file():
        raise DataError(f"image {str(path)!r} does not exist")
    if content_type is None:
        raise DataError(f"image {str(path)!r} is not a JPEG or PNG by its name")
    data = path.read_bytes()
    if not 0 < len(data) <= _MOST_IMAGE_BYTES:
        raise DataError(
            f"image {str(path)!r} has {len(data)} bytes; an endpoint takes 1 to {_MOST_IMAGE_BYTES}"
        )
    return data, content_type


@task(name="query endpoint", **policy(300))
def query(endpoint: str, image: str) -> list[Prediction]:
    """Send one image file to the endpoint; return and publish its predictions."""
    platform = connect()
    data, content_type = read_image(Path(image))
    predictions = ask(platform, endpoint, data, content_type)
    rows = [p.model_dump() for p in predictions]
    create_markdown_artifact(
        f"# {endpoint}\n`{Path(image).name}`\n\n" + markdown_table(rows, ["label", "probability"]),
        key="query",
    )
    return predictions


@task(name="publish endpoint", **policy(300))
def publish_endpoint(run: RunIdentity, deployed: Deployment) -> None:
    """Publish the endpoint with a command that queries it, and when it ends."""
    platform = connect()
    command = platform.invoke_command(deployed.endpoint, "IMAGE.jpg")
    create_markdown_artifact(
        "\n".join(
            [
                f"# Endpoint {deployed.endpoint}",
                f"InService; answered {deployed.smoke_agreement:.0%} of "
                f"{deployed.smoke_images} test images as the training job did.",
                f"`whippet clean-up` removes it after {deployed.expires} (UTC).",
                "",
                f"```sh\n{command}\n```",
            ]
        ),
        key="endpoint",
    )
    get_run_logger().info("endpoint %s is in service: %s", deployed.endpoint, command)


@task(name="query test image", **policy(300))
def query_test_image(
    run: RunIdentity, trained: TrainedModel, deployed: Deployment
) -> dict[str, Any]:
    """Ask the endpoint about one test image and note the answer beside the true label."""
    platform = connect()
    path, _ = _smoke_samples(platform, run, 1)[0]
    image = read_object(platform, f"{trained.test_uri}/{path}")
    predictions = ask(platform, deployed.endpoint, image, _CONTENT_TYPES[Path(path).suffix.lower()])
    saved = run_folder(platform.settings, run.name) / f"query{Path(path).suffix}"
    saved.write_bytes(image)
    answer = {
        "image": path,
        "file": str(saved),
        "label": path.split("/", 1)[0],
        "predictions": [p.model_dump() for p in predictions],
        "command": platform.invoke_command(deployed.endpoint, str(saved)),
    }
    record(platform.settings, run, {"query": answer})
    return answer
