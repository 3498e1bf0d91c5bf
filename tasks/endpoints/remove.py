"""Delete an endpoint with all that it consists of."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from platforms import Platform
from tasks.endpoints.autoscaling import stop_scaling
from tasks.requests.create_or_adopt import ENDPOINT, is_not_found
from tasks.requests.waiting import Pace, wait_until

_DEADLINE_SECONDS = 1800.0
_IN_TRANSITION = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


def remove_endpoint(
    platform: Platform, endpoint: str, config: str | None, models: list[str]
) -> None:
    """Delete an endpoint with its config and models; what is not there is no error.

    An endpoint in transition cannot be deleted: it is waited for, since it bills.
    """
    _settle(platform, endpoint)
    stop_scaling(platform, endpoint)
    steps = [
        (platform.sagemaker.delete_endpoint, {"EndpointName": endpoint}),
        *(
            [(platform.sagemaker.delete_endpoint_config, {"EndpointConfigName": config})]
            if config
            else []
        ),
        *((platform.sagemaker.delete_model, {"ModelName": model}) for model in models),
    ]
    for delete, name in steps:
        try:
            delete(**name)
        except ClientError as error:
            if not is_not_found(error):
                raise


def _settle(platform: Platform, endpoint: str) -> None:
    def status() -> dict[str, Any]:
        return ENDPOINT.describe(platform.sagemaker, endpoint) or {"EndpointStatus": "Deleted"}

    wait_until(
        status,
        lambda found: found["EndpointStatus"] not in _IN_TRANSITION,
        what=f"endpoint {endpoint!r}, which is to be deleted,",
        pace=Pace(slowest=platform.defaults.poll_seconds, deadline=_DEADLINE_SECONDS),
    )
