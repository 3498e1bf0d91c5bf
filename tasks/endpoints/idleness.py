"""Since when nobody has asked an endpoint: from CloudWatch, or from the model servers here.

An asynchronous endpoint publishes no ``Invocations``; its own metrics tell. What cannot be told is
"not known", which is never idle.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from platforms import Metrics, Platform
from platforms.errors import WhippetError
from platforms.sagemaker_types import Endpoint
from sm_entrypoints.contract.sentences import counted
from tasks.endpoints.inventory import OwnedResource
from tasks.requests.create_or_adopt import ENDPOINT

NOT_KNOWN = "not known"
_NAMESPACE = "AWS/SageMaker"
_MINUTE, _HOUR = 60, 3600
# CloudWatch gives at most 1,440 data points an answer, and knows minutes for 15 days.
_BY_MINUTE, _BY_HOUR = timedelta(hours=23), timedelta(days=59)
_ASYNC_METRICS = ("InvocationsProcessed", "InvocationFailures", "ApproximateBacklogSize")


@dataclass(frozen=True, slots=True, kw_only=True)
class Idleness:
    """Since when an endpoint has had no request; None is not known.

    ``asked``: there was one. If not, ``since`` is when it was created or last changed, or when our
    look into the past begins.
    """

    since: datetime | None
    asked: bool = False

    def hours(self, now: datetime) -> float | None:
        """Return for how many hours there was no request; None if that is not known."""
        return None if self.since is None else (now - self.since).total_seconds() / _HOUR

    def words(self, now: datetime) -> str:
        """Return it in words: ``no request for 5 hours``."""
        if self.since is None:
            return NOT_KNOWN
        minutes = max(0, int((now - self.since).total_seconds() // _MINUTE))
        long = counted(minutes // 60, "hour") if minutes >= 60 else counted(minutes, "minute")
        if minutes >= 48 * 60:
            long = counted(minutes // (24 * 60), "day")
        return f"no request for {long}"


def idleness(platform: Platform, state: OwnedResource, now: datetime) -> Idleness:
    """Return since when nobody has asked an endpoint; never raises for want of a permission."""
    if platform.metrics is None:
        return Idleness(since=None)
    try:
        endpoint = ENDPOINT.describe(platform.sagemaker, state.name)
        if endpoint is None:
            return Idleness(since=None)
        # An update is a sign of life, too.
        begun = max(state.created, endpoint.get("LastModifiedTime", state.created))
        last = _last_request(platform.metrics, endpoint, begun, now)
    except (ClientError, BotoCoreError, WhippetError):
        return Idleness(since=None)
    if last is not None:
        return Idleness(since=min(now, last), asked=True)
    return Idleness(since=max(begun, now - _BY_HOUR))


def _last_request(
    metrics: Metrics, endpoint: Endpoint, begun: datetime, now: datetime
) -> datetime | None:
    """Return the end of the last minute, or hour, with a request; None if there was none."""
    for period, reach in ((_MINUTE, _BY_MINUTE), (_HOUR, _BY_HOUR)):
        start = max(begun, now - reach)
        times: list[datetime] = [
            point["Timestamp"]
            for metric in _metrics_of(endpoint)
            for point in metrics.get_metric_statistics(
                Namespace=_NAMESPACE,
                StartTime=start - timedelta(seconds=period),
                EndTime=now + timedelta(seconds=_MINUTE),
                Period=period,
                Statistics=["Sum"],
                **metric,
            )["Datapoints"]
            if point["Sum"] > 0
        ]
        if times:
            return max(times) + timedelta(seconds=period)
        if begun >= now - reach:  # there is nothing before
            return None
    return None


def _metrics_of(endpoint: Endpoint) -> Iterator[dict[str, Any]]:
    named = {"Name": "EndpointName", "Value": endpoint["EndpointName"]}
    if endpoint.get("AsyncInferenceConfig") is not None:
        for name in _ASYNC_METRICS:
            yield {"MetricName": name, "Dimensions": [named]}
        return
    for variant in endpoint.get("ProductionVariants", ()):
        which = {"Name": "VariantName", "Value": variant["VariantName"]}
        yield {"MetricName": "Invocations", "Dimensions": [named, which]}
