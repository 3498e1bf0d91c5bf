"""Kinds of endpoints: on instances, serverless, asynchronous; what may be said of each.

Rules: SageMaker's guide, "Serverless Inference" and "Asynchronous inference"; messages are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from platforms.client_errors import client_error
from platforms.local.buckets.buckets import BadUri, split_uri
from sm_entrypoints.contract.sentences import ended

_OPERATION = "CreateEndpointConfig"
# Steps of a GB; the service's model has the bounds only.
_MEMORY_STEP_MB = 1024
_SERVERLESS_FIELDS = frozenset({"MaxConcurrency"})
_OUTPUT_FIELDS = frozenset({"S3OutputPath", "S3FailurePath"})


def require_one_kind(request: Mapping[str, Any], variant: Mapping[str, Any]) -> None:
    """Check that a configuration is of one kind, with what that kind needs.

    Raises:
        ClientError: ``ValidationException``, names what does not go together.
    """
    problem = _problem(request, variant)
    if problem:
        name = request["EndpointConfigName"]
        raise client_error(
            _OPERATION, "ValidationException", f"Endpoint configuration {name!r} {ended(problem)}"
        )


def _problem(request: Mapping[str, Any], variant: Mapping[str, Any]) -> str | None:
    serverless, output = variant.get("ServerlessConfig"), _async_output(request)
    if serverless is not None:
        return _serverless_problem(serverless, variant, asynchronous=output is not None)
    return None if output is None else _output_problem(output)


def _serverless_problem(
    serverless: Mapping[str, Any], variant: Mapping[str, Any], *, asynchronous: bool
) -> str | None:
    if asynchronous:
        return "is serverless and asynchronous: leave out ServerlessConfig or AsyncInferenceConfig"
    instances = sorted({"InstanceType", "InitialInstanceCount"} & set(variant))
    if instances:
        return f"is serverless, which has no instances: leave out {' and '.join(instances)}"
    if serverless["MemorySizeInMB"] % _MEMORY_STEP_MB:
        return (
            f"has MemorySizeInMB={serverless['MemorySizeInMB']}: give 1024, 2048, 3072, 4096, 5120 "
            "or 6144"
        )
    provisioned = serverless.get("ProvisionedConcurrency", 0)
    if provisioned > serverless["MaxConcurrency"]:
        return (
            f"has ProvisionedConcurrency={provisioned}, more than "
            f"MaxConcurrency={serverless['MaxConcurrency']}"
        )
    return None


def _async_output(request: Mapping[str, Any]) -> Mapping[str, Any] | None:
    config = request.get("AsyncInferenceConfig")
    return None if config is None else config["OutputConfig"]


def _output_problem(output: Mapping[str, Any]) -> str | None:
    if "S3OutputPath" not in output:
        return "has no S3OutputPath in AsyncInferenceConfig: this platform has nowhere to write to"
    for member in sorted(_OUTPUT_FIELDS & set(output)):
        try:
            split_uri(output[member])
        except BadUri as error:
            return f"has {member} that is no place in a bucket: {error}"
    return None


def settings_of_kind(
    request: Mapping[str, Any], variant: Mapping[str, Any]
) -> Iterator[tuple[str, Mapping[str, Any], frozenset[str]]]:
    """Yield name, members and honoured members of what a configuration says of its kind."""
    if "ServerlessConfig" in variant:
        yield "ServerlessConfig", variant["ServerlessConfig"], _SERVERLESS_FIELDS
    output = _async_output(request)
    if output is not None:
        yield "OutputConfig", output, _OUTPUT_FIELDS
