"""What a transform job's request may ask for here, and the defaults of its members."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from platforms.client_errors import client_error
from platforms.local.buckets.buckets import BadUri, split_uri
from sm_entrypoints.contract.sentences import ended

OPERATION = "CreateTransformJob"
# The service's own limits and defaults.
_MAX_PAYLOAD_PRODUCT_MB = 100
_DEFAULT_PAYLOAD_MB = 6
_DEFAULT_TIMEOUT_SECONDS = 600
_DEFAULT_RETRIES = 3
_MEGABYTE = 1024 * 1024
_HONOURED = frozenset(
    {
        "TransformJobName",
        "ModelName",
        "MaxConcurrentTransforms",
        "ModelClientConfig",
        "MaxPayloadInMB",
        "BatchStrategy",
        "Environment",
        "TransformInput",
        "TransformOutput",
        "Tags",
        # Checked below: what would change the result is refused, the rest changes nothing here.
        "DataProcessing",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformPlan:
    """A transform job's request with every default filled in.

    Attributes:
        payload_bytes: the longest body of one request; None for no limit.
        seconds: how long the model may take for one request.
        retries: how often a request that the model failed is sent again.
        lines: objects are split at line ends.
        packed: several lines go into one request, as many as fit.
    """

    source: str
    manifest: bool
    output: str
    content_type: str | None
    accept: str | None
    gzipped: bool
    lines: bool
    packed: bool
    joined: bool
    concurrency: int
    payload_bytes: int | None
    seconds: int
    retries: int


def plan(request: Mapping[str, Any]) -> TransformPlan:
    """Return what a request asks for."""
    source, output = request["TransformInput"], request["TransformOutput"]
    client = request.get("ModelClientConfig", {})
    megabytes = request.get("MaxPayloadInMB", _DEFAULT_PAYLOAD_MB)
    return TransformPlan(
        source=source["DataSource"]["S3DataSource"]["S3Uri"],
        manifest=source["DataSource"]["S3DataSource"]["S3DataType"] == "ManifestFile",
        output=output["S3OutputPath"].rstrip("/"),
        content_type=source.get("ContentType"),
        accept=output.get("Accept"),
        gzipped=source.get("CompressionType", "None") == "Gzip",
        lines=source.get("SplitType", "None") == "Line",
        packed=request.get("BatchStrategy", "MultiRecord") == "MultiRecord",
        joined=output.get("AssembleWith", "None") == "Line",
        concurrency=request.get("MaxConcurrentTransforms") or 1,
        payload_bytes=megabytes * _MEGABYTE or None,
        seconds=client.get("InvocationsTimeoutInSeconds", _DEFAULT_TIMEOUT_SECONDS),
        retries=client.get("InvocationsMaxRetries", _DEFAULT_RETRIES),
    )


def check_request(request: Mapping[str, Any]) -> None:
    """Check what botocore's model of the operation does not.

    Raises:
        ClientError: ``ValidationException`` with all problems.
    """
    problems = [*_size_problems(request), *_kind_problems(request), *_uri_problems(request)]
    if problems:
        raise client_error(OPERATION, "ValidationException", " ".join(problems))


def ignored_fields(request: Mapping[str, Any]) -> list[str]:
    """Return the members of a request that change nothing on this machine."""
    ignored = sorted(set(request) - _HONOURED - {"TransformResources"})
    resources = request["TransformResources"]
    if resources["InstanceCount"] != 1:
        ignored.append("TransformResources.InstanceCount (one process does all the work)")
    ignored += [f"TransformResources.{key}" for key in resources if key not in _RESOURCES]
    if request["TransformOutput"].get("KmsKeyId"):
        ignored.append("TransformOutput.KmsKeyId")
    return ignored


_RESOURCES = frozenset({"InstanceType", "InstanceCount"})


def _size_problems(request: Mapping[str, Any]) -> Iterator[str]:
    megabytes = request.get("MaxPayloadInMB", _DEFAULT_PAYLOAD_MB)
    product = megabytes * (request.get("MaxConcurrentTransforms") or 1)
    if product > _MAX_PAYLOAD_PRODUCT_MB:
        yield (
            f"MaxConcurrentTransforms * MaxPayloadInMB is {product}; it must not exceed "
            f"{_MAX_PAYLOAD_PRODUCT_MB} MB."
        )


def _kind_problems(request: Mapping[str, Any]) -> Iterator[str]:
    source = request["TransformInput"]
    kind = source["DataSource"]["S3DataSource"]["S3DataType"]
    if kind not in {"S3Prefix", "ManifestFile"}:
        yield (
            f"S3DataType {kind!r} is not supported on this platform; use S3Prefix or ManifestFile."
        )
    split = source.get("SplitType", "None")
    if split not in {"None", "Line"}:
        yield f"SplitType {split!r} is not supported on this platform; use None or Line."
    processing = request.get("DataProcessing", {})
    for member, default in (("InputFilter", "$"), ("OutputFilter", "$"), ("JoinSource", "None")):
        value = processing.get(member, default)
        if value != default:
            yield (
                f"DataProcessing.{member}={value!r} is not supported on this platform, and "
                "ignoring it would change the output: leave it out, and join inputs and outputs "
                "by name."
            )


def _uri_problems(request: Mapping[str, Any]) -> Iterator[str]:
    uris = {
        "TransformInput's S3Uri": request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"],
        "S3OutputPath": request["TransformOutput"]["S3OutputPath"],
    }
    for what, uri in uris.items():
        try:
            split_uri(uri)
        except BadUri as error:
            yield f"{what}: {ended(error)}"
