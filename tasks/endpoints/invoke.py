"""Send bytes to an endpoint in the way of its kind: directly, or through objects in S3."""

from __future__ import annotations

import mimetypes
import uuid
from typing import Any

from botocore.exceptions import ClientError

from platforms import Platform
from platforms.errors import DataError, EndpointFailed
from tasks.requests.create_or_adopt import ENDPOINT
from tasks.requests.waiting import Pace, wait_until
from tasks.storage.objects import put_checked
from tasks.storage.uris import read_object, split_uri

_REFUSALS = ("ModelError", "ValidationError", "ValidationException")
_ACCEPT = "application/json"
# An asynchronous endpoint may have to work off what others asked before.
_DEADLINE_SECONDS = 900.0


def invoke(platform: Platform, endpoint: str, body: bytes, content_type: str) -> bytes:
    """Return an endpoint's answer, in JSON; an asynchronous one is waited for.

    Raises:
        EndpointFailed: the model refused the body or failed; says what it said.
        DeadlinePassed: an asynchronous endpoint did not answer within a quarter of an hour.
    """
    output = async_output(platform, endpoint)
    try:
        if output is not None:
            return _later(platform, endpoint, output, (body, content_type))
        answer = platform.runtime.invoke_endpoint(
            EndpointName=endpoint, Body=body, ContentType=content_type, Accept=_ACCEPT
        )
    except ClientError as error:
        if error.response["Error"]["Code"] in _REFUSALS:
            raise EndpointFailed(
                f"endpoint {endpoint!r}: {error.response['Error']['Message']}"
            ) from error
        raise
    found: bytes = answer["Body"].read()
    return found


def async_output(platform: Platform, endpoint: str) -> str | None:
    """Return where an asynchronous endpoint writes its answers; None for any other, or none."""
    found = ENDPOINT.describe(platform.sagemaker, endpoint) or {}
    config = found.get("AsyncInferenceConfig")
    return None if config is None else str(config["OutputConfig"]["S3OutputPath"])


def _later(platform: Platform, endpoint: str, output: str, content: tuple[bytes, str]) -> bytes:
    """Put the body beside the endpoint's answers, have it worked off, and read the answer."""
    body, content_type = content
    name = f"{uuid.uuid4()}{mimetypes.guess_extension(content_type) or ''}"
    input_uri = f"{output.rstrip('/').rpartition('/')[0]}/input/{name}"
    bucket, key = split_uri(input_uri)
    put_checked(platform.store(bucket), key, body)
    asked = platform.runtime.invoke_endpoint_async(
        EndpointName=endpoint, InputLocation=input_uri, ContentType=content_type, Accept=_ACCEPT
    )
    places = {
        "answer": asked["OutputLocation"],
        **({"failure": asked["FailureLocation"]} if asked.get("FailureLocation") else {}),
    }
    found = wait_until(
        lambda: _written(platform, places),
        bool,
        what=f"asynchronous invocation {asked['InferenceId']} of endpoint {endpoint!r}",
        pace=Pace(slowest=platform.defaults.poll_seconds, deadline=_DEADLINE_SECONDS),
    )
    if "failure" in found:
        raise EndpointFailed(f"endpoint {endpoint!r}: {found['failure'].decode(errors='replace')}")
    answer: bytes = found["answer"]
    return answer


def _written(platform: Platform, places: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, uri in places.items():
        try:
            found[name] = read_object(platform, uri)
        except DataError:  # not yet
            continue
    return found
