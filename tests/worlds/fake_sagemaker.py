"""An in-memory SageMaker for tests: the real request checks, the real errors, no jobs.

``faults[operation]`` holds exceptions to raise, one a call: before the operation does anything,
or, when it is put in as ``Lost(error)``, after it was done (an answer that never arrived).
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from platforms.client_errors import client_error
from platforms.validation import validate

# Kind in method names: kind in members, how the service says that there is none.
_KINDS = {
    "training_job": ("TrainingJob", "ValidationException", "Requested resource not found."),
    "hyper_parameter_tuning_job": ("HyperParameterTuningJob", "ResourceNotFound", "not there"),
    "transform_job": ("TransformJob", "ValidationException", "Could not find requested job"),
    "model": ("Model", "ValidationException", 'Could not find model "x".'),
    "endpoint_config": ("EndpointConfig", "ValidationException", "Could not find endpoint config"),
    "endpoint": ("Endpoint", "ValidationException", 'Could not find endpoint "x".'),
}


@dataclass(frozen=True)
class Lost:
    """The operation is done, but its answer is this error."""

    error: Exception


def throttled(operation: str = "Describe") -> ClientError:
    """Return the error of a service that is asked too often."""
    error: Any = {"Error": {"Code": "ThrottlingException", "Message": "Rate exceeded"}}
    return ClientError({**error, "ResponseMetadata": {"HTTPStatusCode": 400}}, operation)


class FakeSageMaker:
    """Keeps what it is given; ``calls`` lists the operations in order."""

    def __init__(self, page_size: int = 100) -> None:
        self.resources: dict[tuple[str, str], dict[str, Any]] = {}
        self.tags: dict[str, list[dict[str, str]]] = {}
        self.faults: dict[str, list[Exception | Lost]] = defaultdict(list)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.page_size = page_size

    def __getattr__(self, operation: str) -> Any:
        verb, _, kind = operation.partition("_")
        handler = getattr(FakeSageMaker, f"_{verb}", None)
        if handler is None or not (kind in _KINDS or kind[:-1] in _KINDS or kind == "tags"):
            raise AttributeError(operation)

        def call(**request: Any) -> Any:
            self.calls.append((operation, request))
            fault = self.faults[operation].pop(0) if self.faults[operation] else None
            if isinstance(fault, Exception):
                raise fault
            validate("".join(part.title() for part in operation.split("_")), request)
            answer = handler(self, kind.removesuffix("s") if verb == "list" else kind, request)
            if isinstance(fault, Lost):
                raise fault.error
            return answer

        return call

    def names(self, kind: str) -> list[str]:
        """Return the names of the resources of a kind (``training_job``)."""
        return [name for found, name in self.resources if found == kind]

    def _found(self, kind: str, request: dict[str, Any], verb: str) -> dict[str, Any]:
        noun, code, text = _KINDS[kind]
        try:
            return self.resources[kind, request[f"{noun}Name"]]
        except KeyError:
            raise client_error(f"{verb}{noun}", code, text) from None

    def _create(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        noun = _KINDS[kind][0]
        name = request[f"{noun}Name"]
        if (kind, name) in self.resources:
            raise client_error(f"Create{noun}", "ResourceInUse", f"{name} already exists")
        path = re.sub("_", "-", kind)
        arn = f"arn:aws:sagemaker:us-east-1:000000000000:{path}/{name}"
        status = "InService" if kind == "endpoint" else "InProgress"
        body = {key: value for key, value in request.items() if key != "Tags"}
        created = {f"{noun}Arn": arn, f"{noun}Status": status, "CreationTime": datetime.now(UTC)}
        self.resources[kind, name] = {**body, **created}
        self.tags[arn] = request.get("Tags", [])
        return {f"{noun}Arn": arn}

    def _describe(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        return dict(self._found(kind, request, "Describe"))

    def _delete(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        self._found(kind, request, "Delete")
        del self.resources[kind, request[f"{_KINDS[kind][0]}Name"]]
        return {}

    def _stop(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        noun, found = _KINDS[kind][0], self._found(kind, request, "Stop")
        if found[f"{noun}Status"] != "InProgress":
            text = "The request was rejected because the job is not InProgress"
            raise client_error(f"Stop{noun}", "ValidationException", text)
        found[f"{noun}Status"] = "Stopping"
        return {}

    def _list(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        if kind == "tag":
            if request["ResourceArn"] not in self.tags:
                raise client_error("ListTags", "ValidationException", "not found")
            return {"Tags": self.tags[request["ResourceArn"]]}
        noun = _KINDS[kind][0]
        wanted = request.get("StatusEquals")
        every = [
            found
            for (each, name), found in self.resources.items()
            if each == kind and request.get("NameContains", "").lower() in name.lower()
            if wanted is None or found[f"{noun}Status"] == wanted
        ]
        start = int(request.get("NextToken", 0))
        end = start + min(self.page_size, request.get("MaxResults", 10))
        member = f"{noun}Summaries" if kind.endswith("_job") else f"{noun}s"
        more = {"NextToken": str(end)} if end < len(every) else {}
        return {member: every[start:end], **more}
