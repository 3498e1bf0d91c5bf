"""Describe an endpoint: its kind, its model, its run, and what it can be asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from platforms import Platform
from platforms.client_errors import AccessDenied
from platforms.errors import EndpointFailed
from tasks.requests.create_or_adopt import ENDPOINT, ENDPOINT_CONFIG, MODEL
from tasks.requests.tags import run_of

_ANSWERING = ("InService", "Updating", "RollingBack", "SystemUpdating")
_PROGRAM = "inference.py"


def about_endpoint(platform: Platform, name: str) -> str:
    """Return what an endpoint is, in a few lines; its status alone to who may see no more.

    Raises:
        EndpointFailed: there is none of this name.
    """
    found = _described(platform, name)
    try:
        return _about(platform, found)
    except AccessDenied:
        return f"endpoint {name!r} is {found['EndpointStatus']}"


def require_answering(platform: Platform, name: str) -> None:
    """Check that an endpoint can be asked.

    Raises:
        EndpointFailed: there is none of this name, or it does not answer; says what it is.
    """
    if _described(platform, name)["EndpointStatus"] not in _ANSWERING:
        raise EndpointFailed(about_endpoint(platform, name))


def _described(platform: Platform, name: str) -> dict[str, Any]:
    found = ENDPOINT.describe(platform.sagemaker, name)
    if found is None:
        raise EndpointFailed(f"there is no endpoint {name!r}: see `whippet endpoints`")
    return found


def _about(platform: Platform, found: Mapping[str, Any]) -> str:
    name = found["EndpointName"]
    config = ENDPOINT_CONFIG.describe(platform.sagemaker, found["EndpointConfigName"]) or {}
    variant: Mapping[str, Any] = next(iter(config.get("ProductionVariants", [])), {})
    model = MODEL.describe(platform.sagemaker, variant.get("ModelName", "")) if variant else None
    run = run_of(platform, found["EndpointArn"])
    lines = [
        f"endpoint {name!r} is {_kind(config, variant)}, {found['EndpointStatus']}",
        f"  model   {variant.get('ModelName', 'its configuration is gone')}{_archive(model)}",
        f"  run     {run or 'none of Whippet: somebody else made it'}",
        f"  answers {_answers(model, run)}",
    ]
    if found.get("FailureReason"):
        lines.append(f"  failed  {found['FailureReason'].splitlines()[0]}")
    return "\n".join(lines)


def _kind(config: Mapping[str, Any], variant: Mapping[str, Any]) -> str:
    if "ServerlessConfig" in variant:
        return "serverless"
    if "AsyncInferenceConfig" in config:
        return "asynchronous"
    instance = variant.get("InstanceType")
    return f"real-time ({instance})" if instance else "real-time"


def _container(model: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = [model.get("PrimaryContainer"), *model.get("Containers", [])]
    found: Mapping[str, Any] = next(filter(None, containers), {})
    return found


def _archive(model: Mapping[str, Any] | None) -> str:
    uri = _container(model or {}).get("ModelDataUrl")
    return f" ({uri})" if uri else ""


def _answers(model: Mapping[str, Any] | None, run: str | None) -> str:
    if run:
        return "labels and probabilities of one JPEG or PNG picture, as JSON or CSV"
    program = _container(model or {}).get("Environment", {}).get("SAGEMAKER_PROGRAM", _PROGRAM)
    return f"what {program} of its model makes of the request; `whippet predict` reads labels only"
