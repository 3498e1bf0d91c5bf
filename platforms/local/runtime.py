"""``boto3.client("sagemaker-runtime")`` of the local platform: HTTP to a model server."""

from __future__ import annotations

import io
import uuid
from typing import Any

import httpx
from botocore.exceptions import ClientError
from botocore.response import StreamingBody

from platforms.local.context import ACCOUNT, LOGGER, LocalContext
from platforms.local.deployment import local_client
from platforms.local.endpoint import local_url, settle_endpoint
from platforms.validation import validate

_OPERATION = "InvokeEndpoint"
_HONOURED = frozenset({"EndpointName", "Body", "ContentType", "Accept", "CustomAttributes"})
# SageMaker's own limits of a real-time endpoint.
MAX_BODY_BYTES = 6_291_456
_TIMEOUT_SECONDS = 60.0
_CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
# What boto3 sends with a body when nothing is said.
_DEFAULT_CONTENT_TYPE = "application/octet-stream"


class LocalRuntime:
    """``invoke_endpoint`` with bytes untouched in both directions."""

    def __init__(self, context: LocalContext) -> None:
        self._context = context

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        """Send one request to the model server of an endpoint and return its answer.

        ``Body`` (bytes or a file opened for reading bytes) and the answer's ``Body`` are at most
        6,291,456 and any number of bytes; the answer is complete before this returns.

        Raises:
            ParamValidationError: the request is not one of this operation.
            ClientError: ``ValidationError`` (no such endpoint in service, body too large),
                ``ModelError`` (the model answered 4xx or 5xx, or not within 60 seconds) or
                ``ServiceUnavailable`` (its server just went away).
        """
        body = _read(request.get("Body", b""))
        ignored = sorted(set(request) - _HONOURED)
        if ignored:
            LOGGER.warning("invoke_endpoint: this platform does not honour %s", ", ".join(ignored))
        # The body is checked below, with the service's words; its value is nothing to print.
        checked = {**request, "Body": b""} if "Body" in request else request
        validate(_OPERATION, checked, "sagemaker-runtime")
        if len(body) > MAX_BODY_BYTES:
            raise _error(
                400,
                "ValidationError",
                "1 validation error detected: Value at 'body' failed to satisfy constraint: "
                f"Member must have length less than or equal to {MAX_BODY_BYTES}",
            )
        name = request["EndpointName"]
        variant, url = self._address(name)
        answer = _post(name, url, body, _headers(request))
        if answer.is_error:
            raise _model_error(name, answer.status_code, answer.text)
        return _response(answer, variant)

    def _address(self, name: str) -> tuple[str, str]:
        """Return the serving variant of an endpoint and its URL."""
        try:
            url = local_url(self._context, name)
            record = settle_endpoint(self._context, _OPERATION, name)
        except ClientError as error:
            raise _error(
                400, "ValidationError", f"Endpoint {name} of account {ACCOUNT} not found."
            ) from error
        return record["ProductionVariants"][0]["VariantName"], url


def _read(body: Any) -> bytes:
    if hasattr(body, "read"):
        body = body.read()
    return body.encode() if isinstance(body, str) else bytes(body)


def _headers(request: dict[str, Any]) -> dict[str, str]:
    headers = {
        "Content-Type": request.get("ContentType", _DEFAULT_CONTENT_TYPE),
        # A compressed answer would not be the model's bytes.
        "Accept-Encoding": "identity",
    }
    if "Accept" in request:
        headers["Accept"] = request["Accept"]
    if "CustomAttributes" in request:
        headers[_CUSTOM_ATTRIBUTES] = request["CustomAttributes"]
    return headers


def _post(name: str, url: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
    try:
        with local_client(_TIMEOUT_SECONDS) as client:
            return client.post(url, content=body, headers=headers)
    except httpx.TimeoutException as error:
        message = "Your invocation timed out while waiting for a response from container primary."
        raise _model_error(name, 0, message) from error
    except httpx.TransportError as error:
        raise _error(
            503,
            "ServiceUnavailable",
            f"The server of endpoint {name} went away ({error}); describe it to see why.",
        ) from error


def _response(answer: httpx.Response, variant: str) -> dict[str, Any]:
    response: dict[str, Any] = {
        "ResponseMetadata": {
            "RequestId": str(uuid.uuid4()),
            "HTTPStatusCode": answer.status_code,
            "HTTPHeaders": dict(answer.headers),
            "RetryAttempts": 0,
        },
        "ContentType": answer.headers.get("Content-Type", ""),
        "InvokedProductionVariant": variant,
        "Body": StreamingBody(io.BytesIO(answer.content), len(answer.content)),
    }
    if _CUSTOM_ATTRIBUTES in answer.headers:
        response["CustomAttributes"] = answer.headers[_CUSTOM_ATTRIBUTES]
    return response


def _model_error(name: str, status: int, text: str) -> ClientError:
    """Return the error of a model that answered 4xx or 5xx; 0 stands for no answer."""
    side = "client" if 400 <= status < 500 else "server"
    log = f"/aws/sagemaker/Endpoints/{name}"
    return _error(
        424,
        "ModelError",
        f'Received {side} error ({status}) from primary with message "{text}". '
        f"See {log} in account {ACCOUNT} for more information.",
        OriginalStatusCode=status,
        OriginalMessage=text,
        LogStreamArn=f"arn:aws:logs:local:{ACCOUNT}:log-group:{log}",
    )


def _error(status: int, code: str, message: str, **members: Any) -> ClientError:
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {
            "RequestId": str(uuid.uuid4()),
            "HTTPStatusCode": status,
            "HTTPHeaders": {},
            "RetryAttempts": 0,
        },
        **members,
    }
    return ClientError(response, _OPERATION)
