"""HTTP answers of the local SageMaker: results and errors in AWS's JSON protocols."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """An error as every protocol reports it; ``members`` are its additional members."""

    code: str
    message: str
    status: int
    members: Mapping[str, Any] = field(default_factory=dict)


def problem_of(error: Exception) -> Problem:
    """Return what to tell of an error of :data:`ANSWERED`; of any other, status 500.

    Only 500 and above make clients try again, so what cannot work is 400.
    """
    if isinstance(error, ClientError):
        return _client_error(error)
    if isinstance(error, Refused):
        return Problem(code=error.code, message=str(error), status=error.status)
    if isinstance(error, ParamValidationError | WhippetError):
        # What boto3's own check, or this machine's set-up, does not let through.
        return Problem(code="ValidationException", message=str(error), status=400)
    message = f"{type(error).__name__}: {error}"
    return Problem(code="InternalFailure", message=message, status=500)


def failure(error: Exception) -> Response:
    """Return the answer for an error in JSON."""
    problem = problem_of(error)
    # The JSON protocol reads `__type` and `message`; REST reads the header and `Message`.
    told = {"__type": problem.code, "message": problem.message, "Message": problem.message}
    response = _response({**told, **problem.members}, problem.status)
    response.headers["x-amzn-ErrorType"] = problem.code
    return response


def _client_error(error: ClientError) -> Problem:
    response: Mapping[str, Any] = error.response
    details, status = response["Error"], response["ResponseMetadata"]["HTTPStatusCode"]
    own_members = {"Error", "ResponseMetadata", "message"}
    members = {key: value for key, value in response.items() if key not in own_members}
    return Problem(code=details["Code"], message=details["Message"], status=status, members=members)


def _response(body: Mapping[str, Any], status: int) -> Response:
    return Response(
        json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass"),
        status,
        {"x-amzn-RequestId": str(uuid.uuid4())},
        CONTENT_TYPE,
    )
