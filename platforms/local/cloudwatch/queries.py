"""The queries of a ``GetMetricData`` request: which metric, which statistic, which label. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from platforms.client_errors import client_error


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One metric to read; ``period`` in seconds."""

    id: str
    label: str
    metric: Mapping[str, Any]
    period: int
    statistic: str
    unit: str | None


def read_queries(given: Iterable[Mapping[str, Any]]) -> list[Query]:
    """Return the queries whose values are asked for.

    Raises:
        ClientError: ``ValidationError``: metric math, another account, or one Id twice.
    """
    queries: list[Query] = []
    seen: set[str] = set()
    for each in given:
        if each["Id"] in seen:
            raise _refused(f"The values for parameter id are not unique: {each['Id']!r}.")
        seen.add(each["Id"])
        query = _query(each)
        if each.get("ReturnData", True):
            queries.append(query)
    return queries


def _query(given: Mapping[str, Any]) -> Query:
    if "MetricStat" not in given:
        raise _refused(
            f"Query {given['Id']!r}: Expression {given.get('Expression')!r} is metric math, which "
            "is not available here; give MetricStat and compute from its values."
        )
    if "AccountId" in given:
        raise _refused(f"Query {given['Id']!r}: AccountId is not available here; leave it out.")
    stat = given["MetricStat"]
    metric = stat["Metric"]
    missing = [key for key in ("Namespace", "MetricName") if key not in metric]
    if missing:
        raise _refused(f"Query {given['Id']!r}: MetricStat.Metric lacks {' and '.join(missing)}.")
    return Query(
        id=given["Id"],
        label=given.get("Label", metric["MetricName"]),
        metric=metric,
        period=stat["Period"],
        statistic=stat["Stat"],
        unit=stat.get("Unit"),
    )


def _refused(message: str) -> ClientError:
    return client_error("GetMetricData", "ValidationError", message)
