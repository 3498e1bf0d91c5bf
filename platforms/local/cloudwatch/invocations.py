"""Requests that endpoints got, in CloudWatch's terms: counted by their model servers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from platforms.local.cloudwatch.samples import Sample
from platforms.local.context import LocalContext
from platforms.local.hosting.deployment import REQUESTS_FILE
from platforms.local.records import Missing, Record

NAMESPACE = "AWS/SageMaker"
_KIND: Literal["endpoints"] = "endpoints"
_ENDPOINT, _VARIANT = "EndpointName", "VariantName"
_MINUTE = 60


def read_invocations(context: LocalContext, metric: Mapping[str, Any]) -> list[Sample]:
    """Return a value for each minute in which an endpoint got requests, in order of time.

    ``Invocations`` of an endpoint and its variant; an asynchronous endpoint has, as on AWS,
    ``InvocationsProcessed`` without a variant instead. Any other metric has no values.
    """
    named = {each["Name"]: each["Value"] for each in metric.get("Dimensions", ())}
    try:
        record = context.records.read(_KIND, named.get(_ENDPOINT, ""))
    except (Missing, ValueError):
        return []
    if (metric.get("MetricName"), named) != _metric_of(record):
        return []
    counts: dict[int, int] = {}
    for minute, count in _counted(context, record[_ENDPOINT]):
        counts[minute] = counts.get(minute, 0) + count
    return [Sample(time=_MINUTE * minute, value=count) for minute, count in sorted(counts.items())]


def endpoint_metrics(context: LocalContext) -> Iterator[dict[str, Any]]:
    """Yield the metric of every endpoint that got a request, as ``ListMetrics`` names it."""
    for record in context.records.list(_KIND):
        if next(_counted(context, record[_ENDPOINT]), None) is not None:
            metric, named = _metric_of(record)
            dimensions = [{"Name": key, "Value": value} for key, value in named.items()]
            yield {"Namespace": NAMESPACE, "MetricName": metric, "Dimensions": dimensions}


def _metric_of(record: Record) -> tuple[str, dict[str, str]]:
    name = record[_ENDPOINT]
    if record.get("AsyncInferenceConfig"):
        return "InvocationsProcessed", {_ENDPOINT: name}
    variant = record["ProductionVariants"][0][_VARIANT]
    return "Invocations", {_ENDPOINT: name, _VARIANT: variant}


def _counted(context: LocalContext, endpoint: str) -> Iterator[tuple[int, int]]:
    # An endpoint that was updated has had several.
    deployments = context.records.folder(_KIND, endpoint) / "deployments"
    for file in sorted(deployments.glob(f"*/*/{REQUESTS_FILE}")):
        try:
            lines = file.read_text(encoding="ascii", errors="replace").splitlines()
        except FileNotFoundError:
            continue
        yield from (found for found in map(_minute_and_count, lines) if found is not None)


def _minute_and_count(line: str) -> tuple[int, int] | None:
    """Read a line of the model server's; the last one may be half written."""
    parts: Sequence[str] = line.split()
    if len(parts) != 2 or not all(part.isdecimal() for part in parts):
        return None
    return int(parts[0]), int(parts[1])
