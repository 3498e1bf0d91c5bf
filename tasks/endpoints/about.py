"""Describe an endpoint: its kind, its model, its run, and what it can be asked."""

from __future__ import annotations

from platforms import Platform
from platforms.client_errors import AccessDenied
from platforms.errors import EndpointFailed
from platforms.sagemaker_types import Container, Endpoint, Model
from tasks.endpoints.inventory import config_now
from tasks.endpoints.kinds import kind_of
from tasks.requests.create_or_adopt import ENDPOINT, MODEL
from tasks.requests.tags import run_of

_ANSWERING = ("InService", "Updating", "RollingBack", "SystemUpdating")
_PROGRAM = "inference.py"


def about_endpoint(platform: Platform, name: str) -> str:
    """Return what an endpoint is, in a few lines; only its status for users who may not see more.

    Raises:
        EndpointFailed: there is no endpoint of this name.
    """
    endpoint = _described(platform, name)
    try:
        return _about(platform, endpoint)
    except AccessDenied:
        return f"endpoint {name!r} is {endpoint['EndpointStatus']}"


def require_answering(platform: Platform, name: str) -> None:
    """Check that an endpoint can be asked.

    Raises:
        EndpointFailed: there is none of this name, or it does not answer; says what it is.
    """
    if _described(platform, name)["EndpointStatus"] not in _ANSWERING:
        raise EndpointFailed(about_endpoint(platform, name))


def _described(platform: Platform, name: str) -> Endpoint:
    endpoint = ENDPOINT.describe(platform.sagemaker, name)
    if endpoint is None:
        raise EndpointFailed(f"there is no endpoint {name!r}: see `whippet endpoints`")
    return endpoint


def _about(platform: Platform, endpoint: Endpoint) -> str:
    name, status = endpoint["EndpointName"], endpoint["EndpointStatus"]
    config = config_now(platform, endpoint)
    models = [
        each["ModelName"] for each in config.get("ProductionVariants", []) if "ModelName" in each
    ]
    model = MODEL.describe(platform.sagemaker, models[0]) if models else None
    run = run_of(platform, endpoint["EndpointArn"])
    lines = [
        f"endpoint {name!r} is {kind_of(config).in_words(config)}, {status}",
        "  model   "
        f"{models[0] if models else 'its configuration no longer exists'}{_archive(model)}",
        f"  run     {run or 'none: not created by Whippet'}",
        f"  answers {_answers(model, run)}",
    ]
    if endpoint.get("FailureReason"):
        lines.append(f"  failed  {endpoint['FailureReason'].splitlines()[0]}")
    return "\n".join(lines)


def _container(model: Model | None) -> Container:
    if model is None:
        return {}
    containers = [model.get("PrimaryContainer"), *model.get("Containers", [])]
    return next((each for each in containers if each), Container())


def _archive(model: Model | None) -> str:
    uri = _container(model).get("ModelDataUrl")
    return f" ({uri})" if uri else ""


def _answers(model: Model | None, run: str | None) -> str:
    if run:
        return "labels and probabilities of one JPEG or PNG picture, as JSON or CSV"
    program = _container(model).get("Environment", {}).get("SAGEMAKER_PROGRAM", _PROGRAM)
    return (
        f"what {program} of its model returns for the request; `whippet predict` reads only labels"
    )
