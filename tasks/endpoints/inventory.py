"""The endpoints that Whippet made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from platforms import Platform
from tasks.parameters.run import CleanUpParameters
from tasks.requests.create_or_adopt import is_not_found
from tasks.requests.pages import list_all
from tasks.requests.tags import EXPIRES_TAG, RUN_TAG


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointState:
    """An endpoint that Whippet made, as it is now."""

    name: str
    status: str
    run: str
    created: datetime
    expires: datetime | None

    def expired(self, now: datetime) -> bool:
        """Say whether its time to live has passed."""
        return self.expires is not None and self.expires <= now


def list_endpoints(platform: Platform) -> list[EndpointState]:
    """Return the endpoints that carry Whippet's tags, newest first."""
    summaries = list_all(
        platform.sagemaker.list_endpoints,
        "Endpoints",
        SortBy="CreationTime",
        SortOrder="Descending",
    )
    states = [_endpoint_state(platform, summary) for summary in summaries]
    return [state for state in states if state is not None]


def _endpoint_state(platform: Platform, summary: dict[str, Any]) -> EndpointState | None:
    try:
        answer = platform.sagemaker.list_tags(ResourceArn=summary["EndpointArn"])
    except ClientError as error:
        if is_not_found(error):  # deleted since it was listed
            return None
        raise
    tags = {tag["Key"]: tag["Value"] for tag in answer["Tags"]}
    if RUN_TAG not in tags:
        return None
    expires = tags.get(EXPIRES_TAG)
    return EndpointState(
        name=summary["EndpointName"],
        status=summary["EndpointStatus"],
        run=tags[RUN_TAG],
        created=summary["CreationTime"],
        expires=datetime.fromisoformat(expires) if expires else None,
    )


def endpoints_to_remove(
    states: list[EndpointState], parameters: CleanUpParameters, now: datetime
) -> list[EndpointState]:
    """Return the endpoints that ``parameters`` mean."""
    if parameters.endpoint is not None:
        return [state for state in states if state.name == parameters.endpoint]
    return [state for state in states if parameters.all or state.expired(now)]
