"""Delete an endpoint with all that it consists of."""

from __future__ import annotations

import sys
import time

from botocore.exceptions import ClientError

from platforms import Platform
from tasks.endpoints.autoscaling import stop_scaling
from tasks.requests.create_or_adopt import ENDPOINT, ENDPOINT_CONFIG, MODEL
from tasks.requests.waiting import Pace, wait_until

_DEADLINE_SECONDS = 1800.0
_TELL_SECONDS = 15.0
_IN_TRANSITION = ("Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting")


def remove_endpoint(
    platform: Platform,
    endpoint: str,
    config: str | None,
    models: list[str],
    *,
    wait: bool = True,
) -> str | None:
    """Delete an endpoint with its config and models; a missing one is not an error.

    AWS does not delete an endpoint that is being created or updated: this waits until it may be
    deleted, since it bills from then on, and prints a line about that every few seconds. What its
    platform deletes at once is deleted at once.

    Without ``wait`` it is only asked for: returns the status that does not allow it yet, and then
    config and models stay with it, but for one that is being deleted already.

    Raises:
        DeadlinePassed: AWS has neither finished nor given up the endpoint within half an hour.
    """
    stop_scaling(platform, endpoint)
    if wait:
        _delete(platform, endpoint)
    else:
        status = _tried(platform, endpoint)
        if status not in (None, "Deleting"):
            return status
    if config is not None:
        ENDPOINT_CONFIG.delete(platform.sagemaker, config)
    for model in models:
        MODEL.delete(platform.sagemaker, model)
    return None


def _delete(platform: Platform, endpoint: str) -> None:
    waiting = _Waiting(endpoint)
    wait_until(
        lambda: _tried(platform, endpoint),
        lambda status: status is None,
        what=f"endpoint {endpoint!r}, which is being deleted,",
        pace=Pace(slowest=platform.defaults.poll_seconds, deadline=_DEADLINE_SECONDS),
        watch=waiting.tell,
    )


def _tried(platform: Platform, endpoint: str) -> str | None:
    """Ask to delete an endpoint; return None when that is done, else the status that forbids it."""
    try:
        ENDPOINT.delete(platform.sagemaker, endpoint)
    except ClientError as error:
        described = ENDPOINT.describe(platform.sagemaker, endpoint)
        status = None if described is None else str(described["EndpointStatus"])
        refused = error.response["Error"]["Code"] == "ValidationException"
        if status is None or (refused and status in _IN_TRANSITION):
            return status
        raise
    return None


class _Waiting:
    """Says on standard error what an endpoint is waited for."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint, self._began = endpoint, time.monotonic()
        self._told = self._began

    def tell(self, status: str | None) -> None:
        moment = time.monotonic()
        if status is None or (moment - self._told < _TELL_SECONDS and self._told != self._began):
            return
        self._told = moment
        why = "being deleted" if status == "Deleting" else f"{status}, and cannot be deleted yet"
        print(
            f"endpoint {self._endpoint} is {why}; waiting ({moment - self._began:.0f} s)",
            file=sys.stderr,
        )
