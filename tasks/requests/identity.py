"""What makes two requests the same: a digest, kept as a tag of what was created.

A job may differ by its source archive alone: that is how an upgrade in mid-run is told.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import TypeVar, cast

from sm_entrypoints.contract import FEATURES_CHANNEL
from tasks.requests.tags import DIGEST_TAG

# The body of a create operation: a TypedDict of boto3-stubs.
R = TypeVar("R", bound=Mapping[str, object])
# The training toolkit's name for where the source archive lies.
SOURCE_KEY = "sagemaker_submit_directory"


def request_digest(request: Mapping[str, object]) -> str:
    """Return the SHA-256 of a request's meaning: everything but its tags, and but for the channel
    of features, which changes nothing that a job finds out.
    """
    body = {key: _meant(key, value) for key, value in request.items() if key != "Tags"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), default=str)
    return sha256(text.encode()).hexdigest()


def _meant(member: str, value: object) -> object:
    if member == "TrainingJobDefinition" and isinstance(value, Mapping):
        return {key: _meant(key, each) for key, each in value.items()}
    if member == "InputDataConfig" and isinstance(value, list):
        return [each for each in value if each["ChannelName"] != FEATURES_CHANNEL]
    return value


def with_tags(request: R, tags: Mapping[str, str]) -> R:
    """Return the request tagged with ``tags`` and with its own digest, for adoption."""
    every = {**tags, DIGEST_TAG: request_digest(request)}
    return with_members(request, Tags=[{"Key": key, "Value": every[key]} for key in sorted(every)])


def with_members(request: R, **members: object) -> R:
    """Return a copy of a request with some members replaced; for code that serves every kind."""
    return cast(R, {**request, **members})


def with_source_of(request: R, described: Mapping[str, object]) -> R:
    """Return a job's request as it would be with the source archive of a job that exists.

    What does not bring a source archive comes back as it is.
    """
    if "TrainingJobDefinition" in request:
        of_trials = _members(described, "TrainingJobDefinition")
        definition = with_source_of(_members(request, "TrainingJobDefinition"), of_trials)
        return _tagged_again(with_members(request, TrainingJobDefinition=definition))
    for member in ("HyperParameters", "StaticHyperParameters"):
        source = _members(described, member).get(SOURCE_KEY)
        values = _members(request, member)
        if source is not None and SOURCE_KEY in values:
            request = with_members(request, **{member: {**values, SOURCE_KEY: source}})
    return _tagged_again(request)


def digest_tag(request: Mapping[str, object]) -> str | None:
    """Return the digest that a request is tagged with."""
    return _tags(request).get(DIGEST_TAG)


def _tagged_again(request: R) -> R:
    return with_tags(request, _tags(request)) if "Tags" in request else request


def _tags(request: Mapping[str, object]) -> dict[str, str]:
    tags = request.get("Tags", [])
    return {tag["Key"]: tag["Value"] for tag in tags} if isinstance(tags, list) else {}


def _members(request: Mapping[str, object], member: str) -> Mapping[str, object]:
    value = request.get(member, {})
    return value if isinstance(value, Mapping) else {}
