"""The log of a job, from CloudWatch or from this machine: one log group per kind of job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from platforms import Platform

TRAINING_LOGS = "/aws/sagemaker/TrainingJobs"
TRANSFORM_LOGS = "/aws/sagemaker/TransformJobs"


def log_events(
    platform: Platform, name: str, start: int = 0, *, group: str = TRAINING_LOGS
) -> Iterator[dict[str, Any]]:
    """Yield the events of a job's log from ``start`` (unix milliseconds) on, in order."""
    token: dict[str, str] = {}
    while True:
        try:
            page = platform.logs.filter_log_events(
                logGroupName=group, logStreamNamePrefix=f"{name}/", startTime=start, **token
            )
        except ClientError as error:
            # The first job of an account makes the log group, once it has something to say.
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return
            raise
        yield from page["events"]
        if not page.get("nextToken"):
            return
        token = {"nextToken": page["nextToken"]}


def log_text(platform: Platform, name: str) -> str:
    """Return the whole log of a training job; empty when it said nothing."""
    return "\n".join(str(event["message"]) for event in log_events(platform, name))
