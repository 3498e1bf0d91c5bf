"""The tags by which Whippet knows what it made, and how tags are read."""

from __future__ import annotations

from platforms import Platform

DIGEST_TAG = "whippet:request"
RUN_TAG = "whippet:run"
FLOW_RUN_TAG = "whippet:flow-run"
EXPIRES_TAG = "whippet:expires"
# On an endpoint: what scales must be released before it is deleted, and is priced at its largest.
SCALED_TAG = "whippet:max-instances"


def tags_of(platform: Platform, arn: str) -> dict[str, str]:
    """Return the tags of a resource."""
    answer = platform.sagemaker.list_tags(ResourceArn=arn)
    return {tag["Key"]: tag["Value"] for tag in answer["Tags"]}
