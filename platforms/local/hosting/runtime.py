"""``boto3.client("sagemaker-runtime")`` of the local platform: HTTP to a model server."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from platforms.client_errors import response_metadata
from platforms.endpoint_kinds import endpoint_kind
from platforms.local.context import ACCOUNT, LocalContext
from platforms.local.honoured.naming import warn_ignored
from platforms.local.hosting.async_queue import AsyncQueue
from platforms.local.hosting.endpoints import local_url
from platforms.local.hosting.kinds import HostedKind, hosted_kind
from platforms.local.hosting.model_calls import CUSTOM_ATTRIBUTES, call_model, runtime_error
from platforms.local.hosting.serverless import IDLE_SECONDS, ServerlessCalls
from platforms.local.hosting.settling import settle_endpoint
from platforms.local.records import Record
from platforms.validation import validate

_HONOURED = frozenset({"EndpointName", "Body", "ContentType", "Accept", "CustomAttributes"})
_HONOURED_ASYNC = frozenset(
    {
        "EndpointName",
        "InputLocation",
        "ContentType",
        "Accept",
        "CustomAttributes",
        "InferenceId",
        "RequestTTLSeconds",
        "InvocationTimeoutSeconds",
    }
)
# SageMaker's own limit of any endpoint.
MAX_BODY_BYTES = HostedKind.most_bytes
_TIMEOUT_SECONDS = 60.0
# SageMaker's guide: a serverless container must answer /ping within three minutes.
_COLD_START_SECONDS = 180.0


class LocalRuntime:
    """Answers with bytes untouched in both directions, or as objects in a bucket.

    ``idle_seconds``: a serverless endpoint's server ends after that long without a call.
    """

    def __init__(self, context: LocalContext, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self._context = context
        self._serverless = ServerlessCalls(context=context, idle_seconds=idle_seconds)

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        """Send one request to the model server of an endpoint and return its answer.

        ``Body`` (bytes or a file opened for reading bytes) and the answer's ``Body`` are at most
        6,291,456 (4,194,304 when serverless) and any number of bytes; the answer is complete
        before this returns.

        Raises:
            ParamValidationError: the request is not one of this operation.
            ClientError: ``ValidationError`` (no such endpoint in service, an asynchronous one,
                body too large), ``ModelError`` (the model answered 4xx or 5xx, or not within 60
                seconds; a serverless one did not start within 180), ``ThrottlingException`` (a
                serverless endpoint has as many calls as it may) or ``ServiceUnavailable`` (its
                server just went away, and is being started again).
        """
        body = _read(request.get("Body", b""))
        warn_ignored("invoke_endpoint", sorted(set(request) - _HONOURED))
        # The body is checked below, with the service's words; its value is nothing to print.
        checked = {**request, "Body": b""} if "Body" in request else request
        validate("InvokeEndpoint", checked, "sagemaker-runtime")
        _require_size(body, MAX_BODY_BYTES)
        name = request["EndpointName"]
        with self._address(name, body) as (record, url):
            answer = call_model(name, url, body, request, _TIMEOUT_SECONDS)
        return _response(answer, record["ProductionVariants"][0]["VariantName"])

    def invoke_endpoint_async(self, **request: Any) -> dict[str, Any]:
        """Queue an object of a bucket for an asynchronous endpoint; say where its answer will be.

        Raises:
            ParamValidationError: the request is not one of this operation.
            ClientError: ``ValidationError``: no such endpoint in service, one of another kind, or
                no InputLocation.
        """
        warn_ignored("invoke_endpoint_async", sorted(set(request) - _HONOURED_ASYNC))
        validate("InvokeEndpointAsync", request, "sagemaker-runtime")
        record = self._record(request["EndpointName"])
        if hosted_kind(record).operation != "InvokeEndpointAsync":
            raise _refusal(f"Endpoint {request['EndpointName']} is not asynchronous: invoke it")
        return AsyncQueue(context=self._context, endpoint=request["EndpointName"]).put(
            request, record["AsyncInferenceConfig"]["OutputConfig"]
        )

    @contextmanager
    def _address(self, name: str, body: bytes) -> Iterator[tuple[Record, str]]:
        """Give an endpoint's record and the URL of its server, for the time of one call."""
        record = self._record(name)
        kind = hosted_kind(record)
        if kind.operation != "InvokeEndpoint":
            raise _refusal(f"Endpoint {name} is {endpoint_kind(record)}: use {kind.operation}")
        _require_size(body, kind.most_bytes)
        if kind.keeps_server:
            try:
                url = local_url(self._context, name)
            except ClientError as error:
                if error.response["Error"]["Code"] == "ServiceUnavailable":
                    raise
                # Deleted, or given up, since it was read.
                raise _not_found(name) from error
            yield record, url
            return
        with self._serverless.address(record, _COLD_START_SECONDS) as url:
            yield record, url

    def _record(self, name: str) -> Record:
        try:
            record = settle_endpoint(self._context, "InvokeEndpoint", name)
        except ClientError as error:
            raise _not_found(name) from error
        if record["EndpointStatus"] not in {"InService", "Updating"}:
            raise _not_found(name)
        return record


def _require_size(body: bytes, most: int) -> None:
    if len(body) > most:
        raise _refusal(
            "1 validation error detected: Value at 'body' failed to satisfy constraint: "
            f"Member must have length less than or equal to {most}"
        )


def _not_found(name: str) -> ClientError:
    return _refusal(f"Endpoint {name} of account {ACCOUNT} not found.")


def _refusal(message: str) -> ClientError:
    return runtime_error(400, "ValidationError", message)


def _read(body: Any) -> bytes:
    if hasattr(body, "read"):
        body = body.read()
    return body.encode() if isinstance(body, str) else bytes(body)


def _response(answer: httpx.Response, variant: str) -> dict[str, Any]:
    response: dict[str, Any] = {
        "ResponseMetadata": response_metadata(answer.status_code, HTTPHeaders=dict(answer.headers)),
        "ContentType": answer.headers.get("Content-Type", ""),
        "InvokedProductionVariant": variant,
        "Body": StreamingBody(io.BytesIO(answer.content), len(answer.content)),
    }
    if CUSTOM_ATTRIBUTES in answer.headers:
        response["CustomAttributes"] = answer.headers[CUSTOM_ATTRIBUTES]
    return response
