"""Send bytes to an endpoint in the way of its kind: directly, or through objects in S3."""

from __future__ import annotations

import mimetypes
import time
import uuid
from collections.abc import Callable
from typing import cast

from botocore.exceptions import ClientError

from platforms import Platform
from platforms.client_errors import is_busy
from platforms.errors import DataError, EndpointFailed
from platforms.sagemaker_types import Endpoint
from tasks.endpoints.fitting import fitted
from tasks.endpoints.kinds import kind_of
from tasks.requests.create_or_adopt import ENDPOINT
from tasks.requests.waiting import Pace, wait_until
from tasks.storage.objects import put_checked
from tasks.storage.uris import read_object, split_uri

_REFUSALS = ("ModelError", "ValidationError", "ValidationException")
# A model that has too many calls says so; what boto3 retries are only errors of AWS itself.
_BUSY_WAITS = (1.0, 2.0, 4.0, 8.0)
_PICTURES = ("image/jpeg", "image/png")
_ACCEPT = "application/json"
# An asynchronous endpoint may have to work off what others asked before.
_DEADLINE_SECONDS = 900.0


def invoke(
    platform: Platform,
    endpoint: str,
    body: bytes,
    content_type: str,
    *,
    pause: Callable[[float], object] = time.sleep,
) -> bytes:
    """Return an endpoint's answer as JSON; waits for an asynchronous one.

    A picture of more bytes than the endpoint takes is sent scaled down. A model that has too many
    calls is asked again for a quarter of a minute.

    Raises:
        EndpointFailed: the model refused the body or failed; includes its message. DeadlinePassed:
        an asynchronous endpoint did not answer within a quarter of an hour.
    """
    description = _described(platform, endpoint)
    body, content_type = _fitting(description, body, content_type)
    ask = _WAYS[kind_of(description).asked_by]
    waits = iter(_BUSY_WAITS)
    while True:
        try:
            return ask(platform, description, body, content_type)
        except ClientError as error:
            wait = next(waits, None) if is_busy(error) else None
            if wait is None and error.response["Error"]["Code"] in _REFUSALS:
                raise EndpointFailed(
                    f"endpoint {endpoint!r}: {error.response['Error']['Message']}"
                ) from error
            if wait is None:
                raise
        pause(wait)


def as_sent(
    platform: Platform, endpoint: str, picture: bytes, content_type: str
) -> tuple[bytes, str]:
    """Return what an endpoint is sent for a picture, and its type: scaled down where need be.

    Raises:
        DataError: it has more bytes than the endpoint takes, and cannot be made smaller.
    """
    return _fitting(_described(platform, endpoint), picture, content_type)


def _fitting(description: Endpoint, body: bytes, content_type: str) -> tuple[bytes, str]:
    most = kind_of(description).most_bytes
    if len(body) > most and content_type in _PICTURES:
        return fitted(body, most), "image/jpeg"
    return body, content_type


def is_asked_directly(platform: Platform, endpoint: str) -> bool:
    """Say whether an endpoint answers the bytes that it is sent; not when its answers are in S3."""
    return kind_of(_described(platform, endpoint)).asked_by == "invoke_endpoint"


def _described(platform: Platform, endpoint: str) -> Endpoint:
    """Return the description of an endpoint; its name alone where there is none: asking tells."""
    return ENDPOINT.describe(platform.sagemaker, endpoint) or cast(
        Endpoint, {"EndpointName": endpoint}
    )


def _at_once(platform: Platform, endpoint: Endpoint, body: bytes, content_type: str) -> bytes:
    answer = platform.runtime.invoke_endpoint(
        EndpointName=endpoint["EndpointName"], Body=body, ContentType=content_type, Accept=_ACCEPT
    )
    content: bytes = answer["Body"].read()
    return content


def _through_objects(
    platform: Platform, endpoint: Endpoint, body: bytes, content_type: str
) -> bytes:
    """Put the body beside the endpoint's answers, have it worked off, and read the answer."""
    name, output = endpoint["EndpointName"], endpoint["AsyncInferenceConfig"]["OutputConfig"]
    root = output["S3OutputPath"].rstrip("/").rpartition("/")[0]
    input_uri = f"{root}/input/{uuid.uuid4()}{mimetypes.guess_extension(content_type) or ''}"
    bucket, key = split_uri(input_uri)
    put_checked(platform.store(bucket), key, body)
    invocation = platform.runtime.invoke_endpoint_async(
        EndpointName=name, InputLocation=input_uri, ContentType=content_type, Accept=_ACCEPT
    )
    places = {
        "answer": invocation["OutputLocation"],
        **({"failure": invocation["FailureLocation"]} if invocation.get("FailureLocation") else {}),
    }
    objects = wait_until(
        lambda: _written(platform, places),
        bool,
        what=f"asynchronous invocation {invocation['InferenceId']} of endpoint {name!r}",
        pace=Pace(slowest=platform.defaults.poll_seconds, deadline=_DEADLINE_SECONDS),
    )
    if "failure" in objects:
        reason = objects["failure"].decode(errors="replace")
        raise EndpointFailed(f"endpoint {name!r}: {reason}")
    return objects["answer"]


def _written(platform: Platform, places: dict[str, str]) -> dict[str, bytes]:
    objects: dict[str, bytes] = {}
    for name, uri in places.items():
        try:
            objects[name] = read_object(platform, uri)
        except DataError:  # not yet
            continue
    return objects


_WAYS: dict[str, Callable[[Platform, Endpoint, bytes, str], bytes]] = {
    "invoke_endpoint": _at_once,
    "invoke_endpoint_async": _through_objects,
}
