"""Models and endpoint configurations of the local platform: records only; nothing runs here.

As in SageMaker, a model or a configuration may be deleted while it is in use: an endpoint keeps
what it was deployed with.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from platforms.client_errors import client_error
from platforms.local.buckets.buckets import BadUri
from platforms.local.context import LocalContext
from platforms.local.honoured.naming import warn_ignored
from platforms.local.hosting.errors import HostingKind, as_client_error
from platforms.local.hosting.kinds import (
    CONFIG_MEMBERS,
    VARIANT_MEMBERS,
    hosted_kind,
    require_one_kind,
)
from platforms.local.listing import listing
from platforms.local.records import Record, now, with_times

_MODEL_FIELDS = frozenset(
    {"ModelName", "PrimaryContainer", "Containers", "ExecutionRoleArn", "Tags"}
)
_CONTAINER_FIELDS = frozenset({"Image", "ModelDataUrl", "Environment", "Mode", "ContainerHostname"})
_CONFIG_FIELDS = CONFIG_MEMBERS | {"EndpointConfigName", "ProductionVariants", "Tags"}
_VARIANT_FIELDS = VARIANT_MEMBERS | {
    "VariantName",
    "ModelName",
    "InitialInstanceCount",
    "InitialVariantWeight",
    "ContainerStartupHealthCheckTimeoutInSeconds",
}


class Models:
    """``create_model`` and its siblings, with boto3's keyword arguments."""

    def __init__(self, context: LocalContext) -> None:
        self._context = context

    def create_model(self, **request: Any) -> dict[str, Any]:
        """Record a model of one container whose archive is in a local bucket."""
        name = request["ModelName"]
        container = _only_container(request)
        _require_model_data(self._context, container)
        _warn_ignored("Model", name, request, _MODEL_FIELDS)
        _warn_ignored("Container of model", name, container, _CONTAINER_FIELDS)
        arn = self._context.arn("model", name)
        record = {"Tags": [], **request, "ModelArn": arn, "CreationTime": now()}
        with as_client_error(self._context, "CreateModel", "models", name):
            self._context.records.create("models", name, record)
        return {"ModelArn": arn}

    def describe_model(self, **request: Any) -> dict[str, Any]:
        """Return what was recorded for a model."""
        return _described(
            read_model(self._context, "DescribeModel", request["ModelName"]),
            EnableNetworkIsolation=False,
        )

    def list_models(self, **request: Any) -> dict[str, Any]:
        """Return a page of model summaries, newest first."""
        return _list(self._context, "models", "Models", ("ModelName", "ModelArn"), request)

    def delete_model(self, **request: Any) -> dict[str, Any]:
        """Remove a model; endpoints that serve it keep running."""
        name = request["ModelName"]
        with as_client_error(self._context, "DeleteModel", "models", name):
            self._context.records.delete("models", name)
        return {}


class EndpointConfigs:
    """``create_endpoint_config`` and its siblings, with boto3's keyword arguments."""

    def __init__(self, context: LocalContext) -> None:
        self._context = context

    def create_endpoint_config(self, **request: Any) -> dict[str, Any]:
        """Record a configuration of one production variant whose model exists."""
        name = request["EndpointConfigName"]
        variant = _only_variant(request)
        require_one_kind(request, variant)
        read_model(self._context, "CreateEndpointConfig", variant["ModelName"])
        _warn_ignored("Endpoint configuration", name, request, _CONFIG_FIELDS)
        _warn_ignored("Variant of endpoint configuration", name, variant, _VARIANT_FIELDS)
        for what, settings, honoured in hosted_kind(request).settings(request, variant):
            _warn_ignored(f"{what} of endpoint configuration", name, settings, honoured)
        arn = self._context.arn("endpoint-config", name)
        record = {"Tags": [], **request, "EndpointConfigArn": arn, "CreationTime": now()}
        with as_client_error(self._context, "CreateEndpointConfig", "endpoint-configs", name):
            self._context.records.create("endpoint-configs", name, record)
        return {"EndpointConfigArn": arn}

    def describe_endpoint_config(self, **request: Any) -> dict[str, Any]:
        """Return what was recorded for an endpoint configuration."""
        name = request["EndpointConfigName"]
        return _described(read_endpoint_config(self._context, "DescribeEndpointConfig", name))

    def list_endpoint_configs(self, **request: Any) -> dict[str, Any]:
        """Return a page of summaries of endpoint configurations, newest first."""
        fields = ("EndpointConfigName", "EndpointConfigArn")
        return _list(self._context, "endpoint-configs", "EndpointConfigs", fields, request)

    def delete_endpoint_config(self, **request: Any) -> dict[str, Any]:
        """Remove a configuration; endpoints created from it keep running."""
        name = request["EndpointConfigName"]
        with as_client_error(self._context, "DeleteEndpointConfig", "endpoint-configs", name):
            self._context.records.delete("endpoint-configs", name)
        return {}


def read_model(context: LocalContext, operation: str, name: str) -> Record:
    """Return a model's record.

    Raises:
        ClientError: ``ValidationException``, there is none.
    """
    with as_client_error(context, operation, "models", name):
        return context.records.read("models", name)


def read_endpoint_config(context: LocalContext, operation: str, name: str) -> Record:
    """Return an endpoint configuration's record.

    Raises:
        ClientError: ``ValidationException``, there is none.
    """
    with as_client_error(context, operation, "endpoint-configs", name):
        return context.records.read("endpoint-configs", name)


def container_of(model: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the only container of a recorded model."""
    container: Mapping[str, Any] = model.get("PrimaryContainer") or model["Containers"][0]
    return container


def _only_container(request: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = [
        *([request["PrimaryContainer"]] if request.get("PrimaryContainer") else []),
        *request.get("Containers", ()),
    ]
    if len(containers) != 1:
        raise client_error(
            "CreateModel",
            "ValidationException",
            f"Model {request['ModelName']!r} has {len(containers)} containers; this platform "
            "serves models with exactly one: give only PrimaryContainer.",
        )
    container: Mapping[str, Any] = containers[0]
    if container.get("Mode", "SingleModel") != "SingleModel" or "ModelDataUrl" not in container:
        raise client_error(
            "CreateModel",
            "ValidationException",
            f"Model {request['ModelName']!r} must have one archive: this platform serves "
            "Mode=SingleModel with a ModelDataUrl.",
        )
    return container


def _require_model_data(context: LocalContext, container: Mapping[str, Any]) -> None:
    url = container["ModelDataUrl"]
    try:
        exists = context.buckets.is_object(url)
    except BadUri:
        exists = False
    if not exists:
        raise client_error(
            "CreateModel", "ValidationException", f"Could not find model data at {url}."
        )


def _only_variant(request: Mapping[str, Any]) -> Mapping[str, Any]:
    name, variants = request["EndpointConfigName"], request["ProductionVariants"]
    if len(variants) != 1:
        names = [each["VariantName"] for each in variants]
        raise client_error(
            "CreateEndpointConfig",
            "ValidationException",
            f"Endpoint configuration {name!r} has production variants {names}; this platform "
            "serves exactly one: create an endpoint for each.",
        )
    if "ModelName" not in variants[0]:
        raise client_error(
            "CreateEndpointConfig",
            "ValidationException",
            f"Variant {variants[0]['VariantName']!r} of endpoint configuration {name!r} names no "
            "model; inference components do not run on this platform.",
        )
    variant: Mapping[str, Any] = variants[0]
    return variant


def _warn_ignored(
    what: str, name: str, given: Mapping[str, Any], honoured: Collection[str]
) -> None:
    # False is what these members are anyway.
    ignored = (key for key, value in given.items() if key not in honoured and value is not False)
    warn_ignored(f"{what} {name!r}", sorted(ignored))


def _described(record: Record, **defaults: Any) -> dict[str, Any]:
    shown = {key: value for key, value in record.items() if key != "Tags"}
    described: dict[str, Any] = with_times({**defaults, **shown})
    return described


def _list(
    context: LocalContext,
    kind: HostingKind,
    member: str,
    fields: tuple[str, str],
    request: Mapping[str, Any],
) -> dict[str, Any]:
    summaries = [
        {key: record[key] for key in (*fields, "CreationTime")}
        for record in map(with_times, context.records.list(kind))
    ]
    return listing(member, fields[0], summaries, request)
