"""How this machine serves each kind of endpoint, one object a kind; what a config may say of it.

Rules: SageMaker's guide, "Serverless Inference" and "Asynchronous inference"; messages are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

from platforms.client_errors import client_error
from platforms.endpoint_kinds import EndpointKind, endpoint_kind
from platforms.local.buckets.buckets import BadUri, split_uri
from sm_entrypoints.contract.sentences import ended

_OPERATION = "CreateEndpointConfig"
# Steps of a GB; the service's model has the bounds only.
_MEMORY_STEP_MB = 1024

Settings = tuple[str, Mapping[str, Any], frozenset[str]]


class HostedKind:
    """A kind of endpoint as it is served here; this one waits for calls on an instance.

    Attributes:
        operation: the operation of SageMaker's runtime that it answers.
        most_bytes: SageMaker's limit of a call's body.
        keeps_server: its server runs also while nobody asks.
    """

    operation: ClassVar[Literal["InvokeEndpoint", "InvokeEndpointAsync"]] = "InvokeEndpoint"
    most_bytes: ClassVar[int] = 6_291_456
    keeps_server: ClassVar[bool] = True

    def problem(self, request: Mapping[str, Any], variant: Mapping[str, Any]) -> str | None:
        """Return what of a config does not go together, as the rest of a sentence."""
        return None

    def settings(
        self, request: Mapping[str, Any], variant: Mapping[str, Any]
    ) -> Iterator[Settings]:
        """Yield name, members and honoured members of what a config says of its kind."""
        yield from ()

    def in_service(self, variant: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the kind has an endpoint say of a variant in service."""
        return dict.fromkeys(("CurrentInstanceCount", "DesiredInstanceCount"), 1)


class _Asynchronous(HostedKind):
    operation = "InvokeEndpointAsync"
    _honoured: ClassVar[frozenset[str]] = frozenset({"S3OutputPath", "S3FailurePath"})

    def problem(self, request: Mapping[str, Any], variant: Mapping[str, Any]) -> str | None:
        output = request["AsyncInferenceConfig"]["OutputConfig"]
        if "S3OutputPath" not in output:
            return (
                "has no S3OutputPath in AsyncInferenceConfig: this platform needs one to write "
                "answers to"
            )
        for member in sorted(self._honoured & set(output)):
            try:
                split_uri(output[member])
            except BadUri as error:
                return f"has {member} that is not a valid S3 location: {error}"
        return None

    def settings(
        self, request: Mapping[str, Any], variant: Mapping[str, Any]
    ) -> Iterator[Settings]:
        yield "OutputConfig", request["AsyncInferenceConfig"]["OutputConfig"], self._honoured


class _Serverless(HostedKind):
    most_bytes = 4_194_304
    keeps_server = False

    def problem(self, request: Mapping[str, Any], variant: Mapping[str, Any]) -> str | None:
        if request.get("AsyncInferenceConfig") is not None:
            return (
                "is serverless and asynchronous: leave out ServerlessConfig or AsyncInferenceConfig"
            )
        instances = sorted({"InstanceType", "InitialInstanceCount"} & set(variant))
        if instances:
            return f"is serverless, which has no instances: leave out {' and '.join(instances)}"
        config = variant["ServerlessConfig"]
        if config["MemorySizeInMB"] % _MEMORY_STEP_MB:
            return (
                f"has MemorySizeInMB={config['MemorySizeInMB']}: give 1024, 2048, 3072, 4096, 5120 "
                "or 6144"
            )
        provisioned = config.get("ProvisionedConcurrency", 0)
        if provisioned > config["MaxConcurrency"]:
            return (
                f"has ProvisionedConcurrency={provisioned}, more than "
                f"MaxConcurrency={config['MaxConcurrency']}"
            )
        return None

    def settings(
        self, request: Mapping[str, Any], variant: Mapping[str, Any]
    ) -> Iterator[Settings]:
        yield "ServerlessConfig", variant["ServerlessConfig"], frozenset({"MaxConcurrency"})

    def in_service(self, variant: Mapping[str, Any]) -> dict[str, Any]:
        members = ("CurrentServerlessConfig", "DesiredServerlessConfig")
        return {
            **dict.fromkeys(members, variant["ServerlessConfig"]),
            **dict.fromkeys(("CurrentInstanceCount", "DesiredInstanceCount"), 0),
        }


_KINDS: dict[EndpointKind, HostedKind] = {
    "real_time": HostedKind(),
    "serverless": _Serverless(),
    "asynchronous": _Asynchronous(),
}
# What configs and their variants may have for the sake of their kind.
CONFIG_MEMBERS = frozenset({"AsyncInferenceConfig"})
VARIANT_MEMBERS = frozenset({"ServerlessConfig"})


def hosted_kind(described: Mapping[str, Any]) -> HostedKind:
    """Return how an endpoint, or a config, is served: by its request, description or record."""
    return _KINDS[endpoint_kind(described)]


def require_one_kind(request: Mapping[str, Any], variant: Mapping[str, Any]) -> None:
    """Check that a configuration is of one kind, with what that kind needs.

    Raises:
        ClientError: ``ValidationException``, names what does not go together.
    """
    problem = hosted_kind(request).problem(request, variant)
    if problem:
        name = request["EndpointConfigName"]
        raise client_error(
            _OPERATION, "ValidationException", f"Endpoint configuration {name!r} {ended(problem)}"
        )
