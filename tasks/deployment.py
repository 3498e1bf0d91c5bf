"""Tasks of the endpoint: create or adopt, wait, smoke-test with labelled images, query, remove."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact

from platforms import Platform, connect
from platforms.errors import EndpointFailed, NameTaken
from platforms.processes.interrupts import uninterrupted
from platforms.sagemaker_types import Endpoint
from tasks.cancelling.watch import CancelWatch
from tasks.costs.ledger_update import note_endpoint
from tasks.dataset.sameness import require_same_data
from tasks.endpoints.autoscaling import scale_endpoint
from tasks.endpoints.predictions import label_of, predicted_images, query_command
from tasks.endpoints.remove import remove_endpoint
from tasks.endpoints.requests import RESOURCES, endpoint_requests
from tasks.events import tell_deployed
from tasks.parameters.run import DeploymentParameters
from tasks.requests.create_or_adopt import (
    ENDPOINT,
    ENDPOINT_CONFIG,
    MODEL,
    create_or_adopt,
)
from tasks.requests.tags import EXPIRES_TAG, tags_of
from tasks.requests.waiting import Pace, wait_until
from tasks.runs.moments import moment
from tasks.runs.names import RunIdentity, Step, resource_name
from tasks.runs.record import read_run, record
from tasks.runs.record_model import RunFacts
from tasks.runs.record_parts import Deployment, TrainedModel
from tasks.runs.task_policy import policy, will_be_retried

_DEADLINE_SECONDS = 1800.0
_BROKEN = ("Failed", "OutOfService", "Deleting")
# A right preprocessing repeats the job's own answers; bf16 kernels may flip a close call.
_LEAST_AGREEMENT = 0.75


@task(name="create endpoint", task_run_name="create endpoint for {trained.job}", **policy(3600))
def create_endpoint(
    run: RunIdentity, trained: TrainedModel, deployment: DeploymentParameters
) -> dict[str, str]:
    """Create model, endpoint config and endpoint, or adopt this run's; wait for InService.

    Returns the three names and ``expires``.

    Raises:
        EndpointFailed: it did not come into service; nothing of it is left behind.
    """
    platform = connect()
    names = {step: resource_name(run, step) for step in RESOURCES}
    requests = endpoint_requests(platform, run, trained, deployment)
    with _removed_on_failure(platform, names):
        _remove_if_broken(platform, names)
        # Before there is one: whoever stops this run looks here whether there may be.
        record(platform.settings, run, RunFacts(jobs={"endpoint": names["endpoint"]}))
        # The same request whatever the attempt: what failed was removed, its name is free.
        create_or_adopt(platform.sagemaker, MODEL, lambda _: requests["model"])
        create_or_adopt(platform.sagemaker, ENDPOINT_CONFIG, lambda _: requests["config"])
        create_or_adopt(platform.sagemaker, ENDPOINT, lambda _: requests["endpoint"])
        note_endpoint(platform, run)  # from here on it bills, whatever becomes of this process
        description = _wait_in_service(platform, names["endpoint"])
        for note in scale_endpoint(platform, names["endpoint"], deployment):
            get_run_logger().warning(note)
        # An adopted endpoint keeps the time to live that it was made with.
        expires_tag = tags_of(platform, description["EndpointArn"]).get(EXPIRES_TAG, "never")
    return {**{str(step): name for step, name in names.items()}, "expires": expires_tag}


@contextmanager
def _removed_on_failure(platform: Platform, names: dict[Step, str]) -> Iterator[None]:
    """Delete endpoint, config and model when the block fails: nothing that bills may stay behind. A
    transient error, after which Prefect runs the task again, removes nothing: the next attempt
    continues with it.
    """
    try:
        yield
    except NameTaken:  # somebody else's: not ours to remove
        raise
    except BaseException as error:
        if will_be_retried(error):
            raise
        with uninterrupted(f"still removing endpoint {names['endpoint']}: it would bill otherwise"):
            remove_endpoint(platform, names["endpoint"], names["config"], [names["model"]])
        raise


def _remove_if_broken(platform: Platform, names: dict[Step, str]) -> None:
    """Remove what an earlier attempt of this run left Failed; a name can be used once only."""
    description = ENDPOINT.describe(platform.sagemaker, names["endpoint"])
    if description is not None and description["EndpointStatus"] in _BROKEN:
        remove_endpoint(platform, names["endpoint"], names["config"], [names["model"]])


def _wait_in_service(platform: Platform, name: str) -> Endpoint:
    endpoint = wait_until(
        lambda: platform.sagemaker.describe_endpoint(EndpointName=name),
        lambda endpoint: endpoint["EndpointStatus"] in ("InService", "Failed", "OutOfService"),
        what=f"endpoint {name!r}",
        pace=Pace(
            slowest=platform.defaults.poll_seconds,
            deadline=_DEADLINE_SECONDS,
            interrupt=CancelWatch().look,
        ),
    )
    if endpoint["EndpointStatus"] != "InService":
        raise EndpointFailed(
            f"endpoint {name!r} is {endpoint['EndpointStatus']}: "
            f"{endpoint.get('FailureReason', 'no reason given')}"
        )
    return endpoint


@task(name="smoke-test endpoint", task_run_name="smoke-test {names[endpoint]}", **policy(1800))
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
        DataError: the bucket no longer holds the run's test images; the endpoint is removed.
    """
    platform = connect()
    endpoint = names["endpoint"]
    every = {"model": names["model"], "config": names["config"], "endpoint": endpoint}
    with _removed_on_failure(platform, every):  # type: ignore[arg-type]
        require_same_data(platform, run)
        samples = predicted_images(platform, run, deployment.smoke_images)
        if not samples:
            raise EndpointFailed(
                f"endpoint {endpoint!r} cannot be tested: training job {trained.job!r} left no "
                "predictions for test images; the endpoint was removed"
            )
        agreed = [
            label_of(platform, endpoint, trained, path) == expected for path, expected in samples
        ]
        share = sum(agreed) / len(agreed)
        if share < _LEAST_AGREEMENT:
            raise EndpointFailed(
                f"endpoint {endpoint!r} answered {sum(agreed)} of {len(agreed)} test images like "
                "the training job: its weights, classes or preprocessing differ; it was removed"
            )
    deployed = Deployment(
        endpoint=endpoint,
        endpoint_config=names["config"],
        model=names["model"],
        expires=names["expires"],
        smoke_images=len(agreed),
        smoke_agreement=share,
    )
    record(platform.settings, run, RunFacts(endpoint=deployed))
    return deployed


@task(name="publish endpoint", task_run_name="publish {deployed.endpoint}", **policy(300))
def publish_endpoint(run: RunIdentity, deployed: Deployment) -> None:
    """Publish the endpoint with a command that queries it, and when it ends."""
    platform = connect()
    command = query_command(platform, deployed.endpoint, "IMAGE.jpg")
    create_markdown_artifact(
        "\n".join(
            [
                f"# Endpoint {deployed.endpoint}",
                f"InService; answered {deployed.smoke_agreement:.0%} of {deployed.smoke_images} "
                "test images like the training job.",
                f"`whippet clean-up` removes it after {moment(deployed.expires)}.",
                "",
                f"```sh\n{command}\n```",
            ]
        ),
        key="endpoint",
    )
    tell_deployed(run, deployed, read_run(platform.settings, run.name))
    get_run_logger().info("endpoint %s is in service: %s", deployed.endpoint, command)
