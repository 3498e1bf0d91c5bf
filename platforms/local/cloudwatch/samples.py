"""The values that training jobs logged, in CloudWatch's terms: namespace, name, dimension."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from platforms.local.context import LocalContext
from platforms.local.job_tree import JobTree
from platforms.local.training.metrics import logged_points
from platforms.local.training.status import KIND

NAMESPACE = "/aws/sagemaker/TrainingJobs"
DIMENSION = "TrainingJobName"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One value of a metric; ``time`` in seconds since 1970."""

    time: float
    value: float


def read_samples(context: LocalContext, metric: Mapping[str, Any]) -> list[Sample]:
    """Return all values of a metric in order of time; ``metric`` names it as CloudWatch does.

    A metric that was never logged has none; as in CloudWatch, a wrong name is not an error.
    """
    job = _job_of(metric.get("Dimensions", ()))
    if metric.get("Namespace") != NAMESPACE or job is None:
        return []
    try:
        points = logged_points(JobTree(folder=context.records.folder(KIND, job)))
    except ValueError:
        return []
    return sorted(
        (
            Sample(time=float(point["timestamp"]), value=float(point["value"]))
            for point in points
            if point["name"] == metric["MetricName"]
        ),
        key=lambda sample: sample.time,
    )


def logged_metrics(context: LocalContext) -> Iterator[dict[str, Any]]:
    """Yield every metric that has a value, job by job, as ``ListMetrics`` names it."""
    for job in context.records.names(KIND):
        final = (context.records.find(KIND, job) or {}).get("FinalMetricDataList", [])
        for name in sorted(each["MetricName"] for each in final):
            dimensions = [{"Name": DIMENSION, "Value": job}]
            yield {"Namespace": NAMESPACE, "MetricName": name, "Dimensions": dimensions}


def _job_of(dimensions: Sequence[Mapping[str, str]]) -> str | None:
    """Return the job that dimensions name; None for any others: they are another metric."""
    if len(dimensions) != 1 or dimensions[0]["Name"] != DIMENSION:
        return None
    return dimensions[0]["Value"]
