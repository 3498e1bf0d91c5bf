"""The log of a job, from CloudWatch or from this machine: one log group per kind of job."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TypedDict

from botocore.exceptions import ClientError

from platforms import Platform
from platforms.job_status import TERMINAL
from tasks.requests.create_or_adopt import TRAINING_JOB, AnyResource

TRAINING_LOGS = "/aws/sagemaker/TrainingJobs"
TRANSFORM_LOGS = "/aws/sagemaker/TransformJobs"
_FOLLOW_SECONDS = 1.0


class LogEvent(TypedDict):
    """An event of a job's log; ``timestamp`` in unix milliseconds."""

    eventId: str
    timestamp: int
    message: str


def log_events(
    platform: Platform, name: str, start: int = 0, *, group: str = TRAINING_LOGS
) -> Iterator[LogEvent]:
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
    """Return the whole log of a training job; empty if it wrote nothing."""
    return "\n".join(str(event["message"]) for event in log_events(platform, name))


def log_lines(
    platform: Platform,
    name: str,
    *,
    follow: bool,
    job: AnyResource = TRAINING_JOB,
    group: str = TRAINING_LOGS,
) -> Iterator[str]:
    """Yield the lines of a job's log, and with ``follow`` those that come until it ends."""
    seen: set[str] = set()
    start = 0
    while True:
        ended = not follow or _has_ended(platform, name, job)
        for event in log_events(platform, name, start, group=group):
            if event["eventId"] not in seen:
                seen.add(event["eventId"])
                start = max(start, event["timestamp"])
                yield event["message"]
        if ended:
            return
        time.sleep(_FOLLOW_SECONDS)


def _has_ended(platform: Platform, name: str, job: AnyResource) -> bool:
    description = job.describe(platform.sagemaker, name) or {}
    return description.get(job.status_member or "") in TERMINAL
