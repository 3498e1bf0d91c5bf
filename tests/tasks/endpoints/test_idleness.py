"""Since when nobody asks an endpoint, and that what is not known is never idle."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from platforms.client_errors import client_error
from tasks.costs.still_billing import still_billing
from tasks.endpoints.idleness import Idleness, idleness
from tasks.endpoints.inventory import list_endpoints
from tasks.leftovers.reaper import find_leftovers
from tasks.parameters.upkeep import CleanUpParameters
from tests.worlds.fake_sagemaker import FakeSageMaker
from tests.worlds.platforms import deploy, fake_platform

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
REAL_TIME = ("Invocations", ("EndpointName", "e"), ("VariantName", "AllTraffic"))


class Metrics:
    """CloudWatch: the times of requests, by metric; refuses what CloudWatch refuses."""

    def __init__(self, **asked: list[timedelta]) -> None:
        self.asked = asked
        self.calls: list[dict[str, Any]] = []

    def get_metric_statistics(self, **request: Any) -> dict[str, Any]:
        self.calls.append(request)
        start, end, period = (request[name] for name in ("StartTime", "EndTime", "Period"))
        assert request["Namespace"] == "AWS/SageMaker"
        assert request["Statistics"] == ["Sum"]
        assert (end - start).total_seconds() / period <= 1_440, "CloudWatch's limit"
        if NOW - start > timedelta(days=15):
            assert period % 300 == 0, "it keeps no minutes for so long"
        points = []
        for ago in self.asked.get(request["MetricName"], []):
            seconds = (NOW - ago - start).total_seconds() // period * period
            begin = start + timedelta(seconds=seconds)
            if start <= begin < end:
                points.append({"Timestamp": begin, "Sum": 1.0})
        return {"Datapoints": points}


def world(created: timedelta, metrics: Any, *, asynchronous: bool = False) -> Any:
    """Return a platform with one endpoint in service."""
    sagemaker = FakeSageMaker()
    deploy(sagemaker, "e", None)
    endpoint = sagemaker.resources["endpoint", "e"]
    endpoint["CreationTime"] = endpoint["LastModifiedTime"] = NOW - created
    endpoint["ProductionVariants"] = [{"VariantName": "AllTraffic"}]
    if asynchronous:
        endpoint["AsyncInferenceConfig"] = {}
    return fake_platform(sagemaker, metrics=metrics, bills=True)


def idle(platform: Any) -> Idleness:
    [state] = list_endpoints(platform)
    return idleness(platform, state, NOW)


@pytest.mark.parametrize(
    ("created", "asked", "words", "hours"),
    [
        (timedelta(days=9), [timedelta(minutes=30, seconds=10)], "no request for 30 minutes", 0.5),
        (
            timedelta(days=9),
            [timedelta(hours=5), timedelta(days=3)],
            "no request for 4 hours",
            4.98,
        ),
        # Beyond a day only the hour is known: never more than it was.
        (timedelta(days=9), [timedelta(days=3)], "no request for 2 days", 71.0),
        (timedelta(hours=6), [], "no request for 6 hours", 6.0),
        (timedelta(days=200), [], "no request for 59 days", 59 * 24.0),
        (timedelta(minutes=1), [], "no request for 1 minute", 1 / 60),
        # A request of this very minute.
        (timedelta(hours=6), [timedelta(seconds=3)], "no request for 0 minutes", 0.0),
    ],
)
def test_the_last_request_is_found_and_never_taken_for_older(created, asked, words, hours):
    found = idle(world(created, Metrics(Invocations=asked)))
    assert found.words(NOW) == words
    assert found.hours(NOW) == pytest.approx(hours, abs=0.02)
    assert found.asked is bool(asked)
    if asked:
        assert found.hours(NOW) <= min(asked).total_seconds() / 3600


def test_what_is_asked_of_cloudwatch():
    metrics = Metrics()
    idle(world(timedelta(hours=2), metrics))
    [call] = metrics.calls
    named = tuple((each["Name"], each["Value"]) for each in call["Dimensions"])
    assert (call["MetricName"], *named) == REAL_TIME


def test_an_asynchronous_endpoint_has_metrics_of_its_own():
    """It publishes no Invocations: by them, it would always be idle."""
    metrics = Metrics(InvocationsProcessed=[timedelta(hours=2)])
    found = idle(world(timedelta(days=2), metrics, asynchronous=True))
    assert found.words(NOW) == "no request for 1 hour"
    assert all(len(call["Dimensions"]) == 1 for call in metrics.calls)
    waiting = Metrics(ApproximateBacklogSize=[timedelta(0)])
    assert idle(world(timedelta(days=2), waiting, asynchronous=True)).hours(NOW) == 0


def _denied(**request: Any) -> dict[str, Any]:
    raise client_error("GetMetricStatistics", "AccessDenied", "not allowed")


@pytest.mark.parametrize("metrics", [None, SimpleNamespace(get_metric_statistics=_denied)])
def test_what_is_not_known_is_never_idle(metrics):
    platform = world(timedelta(days=30), metrics)
    assert idle(platform).words(NOW) == "not known"
    assert idle(platform).hours(NOW) is None
    assert list(find_leftovers(platform, CleanUpParameters(idle_hours=0.1), NOW)) == []
    [billing] = still_billing(platform)
    assert billing.row["last request"] == "not known"


def test_a_clean_up_takes_what_nobody_asked_for_so_long():
    platform = world(timedelta(days=9), Metrics(Invocations=[timedelta(hours=5)]))
    assert list(find_leftovers(platform, CleanUpParameters(), NOW)) == []
    assert list(find_leftovers(platform, CleanUpParameters(idle_hours=5), NOW)) == []
    [found] = find_leftovers(platform, CleanUpParameters(idle_hours=4.9), NOW)
    assert (found.kind, found.name, found.why) == ("endpoint", "e", "no request for 4 hours")
    platform.sagemaker.resources["endpoint", "e"]["EndpointStatus"] = "Updating"
    assert list(find_leftovers(platform, CleanUpParameters(idle_hours=1), NOW)) == []


def test_an_update_counts_as_a_sign_of_life():
    platform = world(timedelta(days=9), Metrics())
    platform.sagemaker.resources["endpoint", "e"]["LastModifiedTime"] = NOW - timedelta(hours=1)
    assert idle(platform).words(NOW) == "no request for 1 hour"
