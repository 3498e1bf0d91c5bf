"""``LocalCloudWatch``: the operations of ``boto3.client("cloudwatch")`` that read metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from botocore.utils import parse_to_aware_datetime

from platforms.client_errors import Code, client_error
from platforms.local.cloudwatch import by_period
from platforms.local.cloudwatch.invocations import NAMESPACE as ENDPOINTS
from platforms.local.cloudwatch.invocations import endpoint_metrics, read_invocations
from platforms.local.cloudwatch.queries import Query, read_queries
from platforms.local.cloudwatch.samples import Sample, logged_metrics, read_samples
from platforms.local.context import ACCOUNT, LocalContext
from platforms.local.honoured.members import accept
from platforms.local.page_tokens import next_token, read_offset

OPERATIONS = ("get_metric_data", "get_metric_statistics", "list_metrics")

# CloudWatch's own limits: data points an answer, and metrics a page.
_MOST_DATAPOINTS, _MOST_DATA = 1_440, 100_800
_METRICS_PAGE = 500
# What SageMaker's metrics of training jobs and of invocations are measured in.
_UNIT = "None"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalCloudWatch:
    """Metrics of training jobs (namespace ``/aws/sagemaker/TrainingJobs``, by job name), and how
    often endpoints were asked (``AWS/SageMaker``)."""

    context: LocalContext

    def get_metric_statistics(self, /, **request: Any) -> dict[str, Any]:
        """Return statistics of one metric, a data point for each period that has values.

        Raises:
            ClientError: ``MissingParameter``, ``InvalidParameterValue`` or
                ``InvalidParameterCombination``, as CloudWatch answers them.
        """
        operation = "GetMetricStatistics"
        accept("cloudwatch", operation, request)
        named = [*request.get("Statistics", ()), *request.get("ExtendedStatistics", ())]
        if not named:
            raise client_error(
                operation,
                "MissingParameter",
                "At least one of the parameters Statistics and ExtendedStatistics must be given.",
            )
        start, end = _interval(operation, request)
        period = request["Period"]
        _require_period(operation, period)
        start = by_period.rounded_start(start, period)
        if (end - start) / period > _MOST_DATAPOINTS:
            raise client_error(
                operation,
                "InvalidParameterCombination",
                f"You have requested up to {(end - start) / period:,.0f} datapoints, which exceeds "
                f"the limit of {_MOST_DATAPOINTS:,}. You may reduce the datapoints requested by "
                "increasing Period, or decreasing the time range.",
            )
        functions = {name: _statistic(operation, name) for name in named}
        datapoints = [
            _datapoint(begin, {name: of(values) for name, of in functions.items()}, request)
            for begin, values in by_period.values_by_period(
                self._samples(request, request.get("Unit")), start, end, period
            )
        ]
        return {"Label": request["MetricName"], "Datapoints": datapoints}

    def get_metric_data(self, /, **request: Any) -> dict[str, Any]:
        """Return the values of several metrics, newest first unless ``ScanBy`` says otherwise.

        Metric math (``Expression``) is refused by name. Values beyond ``MaxDatapoints`` come with
        the next page.

        Raises:
            ClientError: ``ValidationError``, ``InvalidParameterValue`` or ``InvalidNextToken``.
        """
        operation = "GetMetricData"
        accept("cloudwatch", operation, request)
        start, end = _interval(operation, request)
        queries = read_queries(request["MetricDataQueries"])
        descending = request.get("ScanBy", "TimestampDescending") == "TimestampDescending"
        points = [
            (number, time, value)
            for number, query in enumerate(queries)
            for time, value in self._values(query, start, end, descending=descending)
        ]
        first = _first(operation, request)
        end = first + min(request.get("MaxDatapoints", _MOST_DATA), _MOST_DATA)
        results = _results(queries, points[first:end])
        return {"MetricDataResults": results, "Messages": [], **next_token(end, points)}

    def list_metrics(self, /, **request: Any) -> dict[str, Any]:
        """Return a page of the metrics that have values: job by job, then endpoint by endpoint.

        Raises:
            ClientError: ``InvalidParameterValue``, a token that is not one of ours.
        """
        operation = "ListMetrics"
        accept("cloudwatch", operation, request)
        every = chain(logged_metrics(self.context), endpoint_metrics(self.context))
        wanted = [each for each in every if _matches(each, request)]
        first = _first(operation, request)
        end = first + _METRICS_PAGE
        return {"Metrics": wanted[first:end], **next_token(end, wanted)}

    def _samples(self, metric: Mapping[str, Any], unit: str | None) -> list[Sample]:
        if unit not in (None, _UNIT):
            return []
        read = read_invocations if metric.get("Namespace") == ENDPOINTS else read_samples
        return read(self.context, metric)

    def _values(
        self, query: Query, start: float, end: float, *, descending: bool
    ) -> Iterable[tuple[float, float]]:
        of = _statistic("GetMetricData", query.statistic)
        _require_period("GetMetricData", query.period)
        # Unlike the other operation's, these periods are those of the clock.
        begin = start // query.period * query.period
        periods = by_period.values_by_period(
            self._samples(query.metric, query.unit), begin, end, query.period
        )
        values = [(time, of(values)) for time, values in periods]
        return reversed(values) if descending else values


def _interval(operation: str, request: Mapping[str, Any]) -> tuple[float, float]:
    start, end = (
        parse_to_aware_datetime(request[member]).timestamp() for member in ("StartTime", "EndTime")
    )
    if start >= end:
        raise client_error(
            operation,
            "InvalidParameterCombination",
            "The parameter StartTime must be less than the parameter EndTime.",
        )
    return start, end


def _require_period(operation: str, period: int) -> None:
    problem = by_period.period_problem(period)
    if problem is not None:
        raise client_error(operation, "InvalidParameterValue", problem)


def _statistic(operation: str, name: str) -> by_period.Statistic:
    statistic = by_period.statistic(name)
    if statistic is None:
        raise client_error(
            operation,
            "InvalidParameterValue",
            f"The statistic {name!r} is not available here; use {', '.join(by_period.NAMES)}.",
        )
    return statistic


def _datapoint(
    begin: float, found: Mapping[str, float], request: Mapping[str, Any]
) -> dict[str, Any]:
    extended = {name: found[name] for name in request.get("ExtendedStatistics", ())}
    return {
        "Timestamp": datetime.fromtimestamp(begin, UTC),
        "Unit": _UNIT,
        **{name: float(found[name]) for name in request.get("Statistics", ())},
        **({"ExtendedStatistics": extended} if extended else {}),
    }


def _results(
    queries: list[Query], points: Iterable[tuple[int, float, float]]
) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = [
        {
            "Id": query.id,
            "Label": query.label,
            "Timestamps": [],
            "Values": [],
            "StatusCode": "Complete",
        }
        for query in queries
    ]
    for number, time, value in points:
        results[number]["Timestamps"].append(datetime.fromtimestamp(time, UTC))
        results[number]["Values"].append(float(value))
    return results


def _matches(metric: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
    if request.get("OwningAccount", ACCOUNT) != ACCOUNT:
        return False
    if any(metric[key] != request.get(key, metric[key]) for key in ("Namespace", "MetricName")):
        return False
    has = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
    return all(
        each["Name"] in has and each.get("Value", has[each["Name"]]) == has[each["Name"]]
        for each in request.get("Dimensions", ())
    )


def _first(operation: str, request: Mapping[str, Any]) -> int:
    token = request.get("NextToken")
    if token is None:
        return 0
    try:
        return read_offset(token)
    except ValueError as error:
        code: Code = "InvalidNextToken" if operation == "GetMetricData" else "InvalidParameterValue"
        raise client_error(operation, code, f"Invalid NextToken {token!r}.") from error
