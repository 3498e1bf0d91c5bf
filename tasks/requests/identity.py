"""What makes two requests the same: a digest, kept as a tag of what was created.

A job may differ by its source archive alone: that is how an upgrade in mid-run is told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from tasks.requests.tags import DIGEST_TAG

Request = dict[str, Any]
# The training toolkit's name for where the source archive lies.
SOURCE_KEY = "sagemaker_submit_directory"


def request_digest(request: Request) -> str:
    """Return the SHA-256 of a request's meaning: everything but its tags."""
    body = {key: value for key, value in request.items() if key != "Tags"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), default=str)
    return sha256(text.encode()).hexdigest()


def with_tags(request: Request, tags: Mapping[str, str]) -> Request:
    """Return the request tagged with ``tags`` and with its own digest, for adoption."""
    every = {**tags, DIGEST_TAG: request_digest(request)}
    return {**request, "Tags": [{"Key": key, "Value": every[key]} for key in sorted(every)]}


def with_source_of(request: Request, described: Mapping[str, Any]) -> Request:
    """Return a job's request as it would be with the source archive of a job that exists.

    What does not bring a source archive comes back as it is.
    """
    if "TrainingJobDefinition" in request:
        definition = with_source_of(
            request["TrainingJobDefinition"], described.get("TrainingJobDefinition", {})
        )
        return _tagged_again({**request, "TrainingJobDefinition": definition})
    for member in ("HyperParameters", "StaticHyperParameters"):
        source = described.get(member, {}).get(SOURCE_KEY)
        if source is not None and SOURCE_KEY in request.get(member, {}):
            request = {**request, member: {**request[member], SOURCE_KEY: source}}
    return _tagged_again(request)


def _tagged_again(request: Request) -> Request:
    if "Tags" not in request:
        return request
    return with_tags(request, {tag["Key"]: tag["Value"] for tag in request["Tags"]})
