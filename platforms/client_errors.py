"""SageMaker's errors as boto3 raises them: made without a service, and recognised.

The codes are the four that SageMaker's training, tuning and hosting operations use. Which code goes
with which fault follows the service, not its documentation: describing an unknown training job
answers ``ValidationException`` "Requested resource not found." (aws/aws-sdk#165).
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as ServiceConnectionError

from platforms.errors import WhippetError
from sm_entrypoints.contract.sentences import clause

DENIED_CODES = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
# What AWS says; S3 puts quotation marks around the resource. Older messages name no resource.
_SAID = re.compile(
    r"(?:User: )?(?P<who>arn:\S+) is not authorized to perform: (?P<action>[\w-]+:\w+)"
    r"(?: on resource: \"?(?P<resource>[^\s\"]+)\"?)?(?: (?:because|with an) (?P<why>.*))?",
    re.DOTALL,
)

Code = Literal[
    "ResourceInUse",
    "ResourceNotFound",
    "ResourceLimitExceeded",
    "ValidationException",
    # CloudWatch Logs has names of its own.
    "ResourceNotFoundException",
    "InvalidParameterException",
    # So has CloudWatch.
    "InvalidNextToken",
    "InvalidParameterCombination",
    "InvalidParameterValue",
    "MissingParameter",
    "ValidationError",
]


class AccessDenied(ClientError, WhippetError):
    """Raised by AWS's clients when IAM refuses a call; says who may not do what, on what. It is a
    ``ClientError`` like any other for code that checks codes.
    """

    def __init__(self, error_response: Any, operation_name: str) -> None:
        """Take boto3's own two: the answer, whose message is read, and the operation's name."""
        super().__init__(error_response, operation_name)
        message = str(error_response.get("Error", {}).get("Message", ""))
        self.args = (denial_sentence(message, operation_name),)

    def __reduce__(self) -> tuple[Any, ...]:
        """Be rebuilt from the constructor's arguments, as pickle does for results of tasks."""
        return type(self), (self.response, self.operation_name)


class NotSeenYet(ClientError):
    """Raised for a resource that exists, says the service, and is not there when it is described:
    reads may lag behind writes. Trying again may help.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Be rebuilt from the constructor's arguments, as pickle does for results of tasks."""
        return type(self), (self.response, self.operation_name)


def denial_sentence(said: str, action: str, resource: str = "") -> str:
    """Return AWS's refusal as a sentence that names what is missing and what to do.

    Args:
        said: AWS's message; where it names action and resource, they count.
        action: what was asked for (``s3:GetObject``, ``CreateModel``).
        resource: its ARN, if known.
    """
    match = _SAID.search(said)
    parts = match.groupdict() if match else {}
    who, why = parts.get("who") or "the caller", parts.get("why") or ""
    action, resource = parts.get("action") or action, parts.get("resource") or resource
    refusal = f"{who} may not do {action}" + (f" on {resource}" if resource else "")
    if "explicit deny" in why:
        return f"{refusal}: a policy denies it explicitly ({clause(why)}); its author must lift it"
    return f"{refusal}: add it to the policy (`whippet iam` prints it)"


def raise_if_denied(parsed: Mapping[str, Any], model: Any, **_: Any) -> None:
    """Raise AccessDenied for an answer that IAM refused: a handler of boto3's ``after-call``."""
    if parsed.get("Error", {}).get("Code") in DENIED_CODES:
        raise AccessDenied(parsed, model.name)


def client_error(operation: str, code: Code, message: str) -> ClientError:
    """Return the error that boto3 raises for ``operation`` (``CreateTrainingJob``).

    Every one of these codes is HTTP status 400, as in botocore's model of the service.
    """
    response: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": response_metadata(400),
        "message": message,
    }
    return ClientError(response, operation)


@contextmanager
def answered(
    error_type: type[Exception], operation: str, code: Code, message: str
) -> Iterator[None]:
    """Raise :func:`client_error` where the block raises ``error_type``."""
    try:
        yield
    except error_type as error:
        raise client_error(operation, code, message) from error


def response_metadata(status: int, **others: Any) -> dict[str, Any]:
    """Return the ``ResponseMetadata`` of an answer that no service gave."""
    given = {"RequestId": str(uuid.uuid4()), "HTTPStatusCode": status, "HTTPHeaders": {}}
    return {**given, "RetryAttempts": 0, **others}


# botocore's own list of throttling and transient codes, as far as these services use them.
_TRANSIENT_CODES = {
    "InternalFailure",
    "InternalServerError",
    "ModelNotReadyException",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
# Our model server says 429, those of AWS's images 503.
_BUSY_STATUSES = (429, 503)
BROKEN_CONNECTION = (ServiceConnectionError, HTTPClientError, ConnectionError, TimeoutError)


def is_transient(error: BaseException) -> bool:
    """Say whether trying again may help: throttling, 5xx, a broken connection, a late reader."""
    if isinstance(error, NotSeenYet):
        return True
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return error.response.get("Error", {}).get("Code") in _TRANSIENT_CODES or status >= 500
    return isinstance(error, BROKEN_CONNECTION)


def is_busy(error: ClientError) -> bool:
    """Say whether a model refused a call because it has too many: asking it later may help.

    boto3 does not: to it, whatever a model answers is a ``ModelError``.
    """
    return error.response.get("OriginalStatusCode") in _BUSY_STATUSES


def is_not_found(error: ClientError) -> bool:
    """Say whether an error means that there is no such resource.

    SageMaker answers ResourceNotFound for tuning jobs, and a ValidationException whose text says
    "not found" or "Could not find" for the other kinds.
    """
    code = error.response.get("Error", {}).get("Code", "")
    text = error.response.get("Error", {}).get("Message", "").lower()
    return code == "ResourceNotFound" or (
        code == "ValidationException" and ("not found" in text or "could not find" in text)
    )
