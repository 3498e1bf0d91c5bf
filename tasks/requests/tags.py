"""The tags by which Whippet knows what it made, and how tags are read."""

from __future__ import annotations

from botocore.exceptions import ClientError

from platforms import Platform
from platforms.client_errors import is_not_found

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


def tags_if_there(platform: Platform, arn: str) -> dict[str, str]:
    """Return the tags of a resource that may be gone since it was listed; then it has none."""
    try:
        return tags_of(platform, arn)
    except ClientError as error:
        if is_not_found(error):
            return {}
        raise


def run_of(platform: Platform, arn: str) -> str | None:
    """Return the run that created a resource; None if somebody else did, or it is gone."""
    return tags_if_there(platform, arn).get(RUN_TAG)
