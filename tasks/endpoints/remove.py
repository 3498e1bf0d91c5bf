"""Delete an endpoint with all that it consists of."""

from __future__ import annotations

from platforms import Platform
from tasks.endpoints.autoscaling import stop_scaling
from tasks.requests.create_or_adopt import ENDPOINT, ENDPOINT_CONFIG, MODEL
from tasks.requests.waiting import Pace, wait_until

_DEADLINE_SECONDS = 1800.0
_IN_TRANSITION = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


def remove_endpoint(
    platform: Platform, endpoint: str, config: str | None, models: list[str]
) -> None:
    """Delete an endpoint with its config and models; a missing one is not an error.

    An endpoint in transition cannot be deleted, so this waits for it, since it bills.
    """
    _settle(platform, endpoint)
    stop_scaling(platform, endpoint)
    ENDPOINT.delete(platform.sagemaker, endpoint)
    if config is not None:
        ENDPOINT_CONFIG.delete(platform.sagemaker, config)
    for model in models:
        MODEL.delete(platform.sagemaker, model)


def _settle(platform: Platform, endpoint: str) -> None:
    wait_until(
        lambda: ENDPOINT.describe(platform.sagemaker, endpoint),
        lambda described: described is None or described["EndpointStatus"] not in _IN_TRANSITION,
        what=f"endpoint {endpoint!r}, which is being deleted,",
        pace=Pace(slowest=platform.defaults.poll_seconds, deadline=_DEADLINE_SECONDS),
    )
