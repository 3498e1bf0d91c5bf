"""HTTP answers of the local SageMaker: results and errors as AWS's JSON protocols have them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError
from starlette.responses import Response

from platforms.errors import WhippetError

CONTENT_TYPE = "application/x-amz-json-1.1"


class Refused(Exception):
    """Raised to answer with an error of the protocol itself: code, message, HTTP status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


# What an operation may raise and a client must be told.
ANSWERED = (ClientError, ParamValidationError, WhippetError, Refused)


def result(body: Mapping[str, Any]) -> Response:
    """Return the answer of an operation that worked."""
    return _response(body, 200)


def failure(error: Exception) -> Response:
    """Return the answer for an error of :data:`ANSWERED`; for any other, status 500.

    Only 500 and above make clients try again, so what cannot work is 400.
    """
    if isinstance(error, ClientError):
        return _client_error(error)
    if isinstance(error, Refused):
        return _error(error.code, str(error), error.status)
    if isinstance(error, ParamValidationError | WhippetError):
        # What boto3's own check, or this machine's set-up, does not let through.
        return _error("ValidationException", str(error), 400)
    return _error("InternalFailure", f"{type(error).__name__}: {error}", 500)


def _client_error(error: ClientError) -> Response:
    response: Mapping[str, Any] = error.response
    found, status = response["Error"], response["ResponseMetadata"]["HTTPStatusCode"]
    known = {"Error", "ResponseMetadata", "message"}
    members = {key: value for key, value in response.items() if key not in known}
    return _error(found["Code"], found["Message"], status, members)


def _error(
    code: str, message: str, status: int, members: Mapping[str, Any] | None = None
) -> Response:
    # The JSON protocol reads `__type` and `message`; REST reads the header and `Message`.
    body = {"__type": code, "message": message, "Message": message, **(members or {})}
    response = _response(body, status)
    response.headers["x-amzn-ErrorType"] = code
    return response


def _response(body: Mapping[str, Any], status: int) -> Response:
    return Response(
        json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass"),
        status,
        {"x-amzn-RequestId": str(uuid.uuid4())},
        CONTENT_TYPE,
    )
