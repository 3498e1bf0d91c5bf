"""CloudWatch's operations over HTTP, in every protocol that clients speak."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError
from botocore.loaders import Loader

from platforms.local.context import LocalContext, local_context
from platforms.local.page_tokens import token_of
from platforms.settings import Settings
from tests.worlds.local.served import KEYS, REGION, client, served

NAMESPACE = "/aws/sagemaker/TrainingJobs"
# Twenty seconds after a whole minute.
START = datetime(2026, 5, 4, 10, 30, 20, tzinfo=UTC)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> LocalContext:
    """Two jobs; `pets` logged a loss 0, 5, 30, 60 and 100 seconds after START, out of order."""
    context = local_context(Settings(home=tmp_path_factory.mktemp("home")))
    losses = [(0, 4.0), (30, 2.0), (5, 3.0), (60, 1.0), (100, 0.5)]
    _job(context, "pets", [("valid:loss", *each) for each in losses] + [("accuracy", 30, 0.25)])
    _job(context, "birds", [("valid:loss", 1, 9.0)])
    return context


def _job(context: LocalContext, name: str, points: list[tuple[str, int, float]]) -> None:
    final = [{"MetricName": each, "Value": 0.0} for each in {point[0] for point in points}]
    context.records.create("training-jobs", name, {"FinalMetricDataList": final})
    lines = [
        json.dumps({"name": metric, "value": value, "timestamp": START.timestamp() + seconds})
        for metric, seconds, value in points
    ]
    path = context.records.folder("training-jobs", name) / "metrics.jsonl"
    path.write_text("\n".join([*lines, '{"name": "valid:loss", "val']), "utf-8")


@pytest.fixture(scope="module")
def url(context: LocalContext) -> Iterator[str]:
    with served(context) as url:
        yield url


@pytest.fixture(scope="module", params=["smithy-rpc-v2-cbor", "json", "query"])
def cloudwatch(
    url: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """boto3's client, made to prefer a protocol as older and newer ones do."""
    data = tmp_path_factory.mktemp("models")
    model = Loader().load_service_model("cloudwatch", "service-2")
    model["metadata"] |= {"protocol": request.param, "protocols": [request.param]}
    folder = data / "cloudwatch" / "2010-08-01"
    folder.mkdir(parents=True)
    (folder / "service-2.json").write_text(json.dumps(model), "utf-8")
    session = botocore.session.Session()
    session.set_config_variable("data_path", str(data))
    return boto3.Session(botocore_session=session).client(
        "cloudwatch", endpoint_url=url, region_name=REGION, **KEYS
    )


def _asked(**changes: Any) -> dict[str, Any]:
    asked = {
        "Namespace": NAMESPACE,
        "MetricName": "valid:loss",
        "Dimensions": [{"Name": "TrainingJobName", "Value": "pets"}],
        "StartTime": START,
        "EndTime": START + timedelta(minutes=5),
        "Period": 60,
        "Statistics": ["Average"],
        **changes,
    }
    return {key: value for key, value in asked.items() if value is not None}


def test_statistics_are_by_the_minute(cloudwatch: Any) -> None:
    everything = ["Average", "Sum", "Minimum", "Maximum", "SampleCount"]
    answer = cloudwatch.get_metric_statistics(**_asked(Statistics=everything))
    assert answer["Label"] == "valid:loss"
    found = sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])
    # The first minute is that of the clock, from 10:30:00: it holds 0, 5 and 30 seconds.
    assert [point["Timestamp"] for point in found] == [
        datetime(2026, 5, 4, 10, minute, tzinfo=UTC) for minute in (30, 31, 32)
    ]
    assert found[0] == {
        "Timestamp": found[0]["Timestamp"],
        "Unit": "None",
        "Average": 3.0,
        "Sum": 9.0,
        "Minimum": 2.0,
        "Maximum": 4.0,
        "SampleCount": 3.0,
    }
    assert [point["Average"] for point in found[1:]] == [1.0, 0.5]


def test_short_periods_percentiles_and_units(cloudwatch: Any) -> None:
    answer = cloudwatch.get_metric_statistics(
        **_asked(Period=10, Statistics=None, ExtendedStatistics=["p50", "p100"])
    )
    first = min(answer["Datapoints"], key=lambda point: point["Timestamp"])
    assert first["ExtendedStatistics"] == {"p50": 3.5, "p100": 4.0}
    assert len(answer["Datapoints"]) == 4
    assert cloudwatch.get_metric_statistics(**_asked(Unit="Percent"))["Datapoints"] == []
    assert len(cloudwatch.get_metric_statistics(**_asked(Unit="None"))["Datapoints"]) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"MetricName": "loss"},
        {"Namespace": "AWS/EC2"},
        {"Dimensions": []},
        {"Dimensions": [{"Name": "TrainingJobName", "Value": "nobody"}]},
        {"Dimensions": [{"Name": "TrainingJobName", "Value": "../training-jobs/pets"}]},
        {"Dimensions": [{"Name": "Host", "Value": "pets"}]},
        {"EndTime": START - timedelta(hours=1), "StartTime": START - timedelta(hours=2)},
    ],
)
def test_what_nobody_logged_has_no_values(url: str, changes: dict[str, Any]) -> None:
    answer = client("cloudwatch", url).get_metric_statistics(**_asked(**changes))
    assert answer["Datapoints"] == []


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"Statistics": None}, "MissingParameter", "Statistics and ExtendedStatistics"),
        ({"Period": 61}, "InvalidParameterValue", "multiple of 60"),
        ({"Period": 90}, "InvalidParameterValue", "it is 90"),
        ({"EndTime": START}, "InvalidParameterCombination", "StartTime must be less"),
        (
            {"Period": 1, "EndTime": START + timedelta(hours=1)},
            "InvalidParameterCombination",
            "1,4",
        ),
        ({"Statistics": None, "ExtendedStatistics": ["tm90"]}, "InvalidParameterValue", "'tm90'"),
    ],
)
def test_errors_are_cloudwatchs(
    cloudwatch: Any, changes: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(ClientError, match=words) as raised:
        cloudwatch.get_metric_statistics(**_asked(**changes))
    # Clients of the JSON protocol see the name of the exception, the others the code.
    assert raised.value.response["Error"]["Code"].removesuffix("Exception") in {
        code,
        code.replace("Missing", "MissingRequired"),
    }
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def _query(name: str, metric: str, stat: str = "Average", **changes: Any) -> dict[str, Any]:
    dimensions = [{"Name": "TrainingJobName", "Value": "pets"}]
    each = {"Namespace": NAMESPACE, "MetricName": metric, "Dimensions": dimensions}
    return {"Id": name, "MetricStat": {"Metric": each, "Period": 60, "Stat": stat}, **changes}


def test_data_of_several_metrics(cloudwatch: Any) -> None:
    asked = {
        "MetricDataQueries": [
            _query("a", "valid:loss"),
            _query("b", "accuracy", "p90", Label="my accuracy"),
            _query("c", "valid:loss", ReturnData=False),
            _query("d", "nothing"),
        ],
        "StartTime": START,
        "EndTime": START + timedelta(minutes=5),
    }
    answer = cloudwatch.get_metric_data(**asked)
    assert "NextToken" not in answer
    losses, accuracies, nothing = answer["MetricDataResults"]
    assert losses["Values"] == [0.5, 1.0, 3.0]
    assert losses["Timestamps"][-1] == datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
    assert (accuracies["Label"], accuracies["Values"]) == ("my accuracy", [0.25])
    assert (nothing["Values"], nothing["StatusCode"]) == ([], "Complete")
    pages = cloudwatch.get_paginator("get_metric_data").paginate(
        **asked, ScanBy="TimestampAscending", MaxDatapoints=2
    )
    values = [page["MetricDataResults"][0]["Values"] for page in pages]
    assert values == [[3.0, 1.0], [0.5]]


def test_metric_math_is_refused_by_name(url: str) -> None:
    with pytest.raises(ClientError, match=r"Expression 'a \* 2' is metric math"):
        client("cloudwatch", url).get_metric_data(
            MetricDataQueries=[_query("a", "valid:loss"), {"Id": "b", "Expression": "a * 2"}],
            StartTime=START,
            EndTime=START + timedelta(minutes=5),
        )


def test_metrics_are_listed(cloudwatch: Any) -> None:
    def listed(**asked: Any) -> set[tuple[str, str]]:
        found = cloudwatch.list_metrics(**asked)["Metrics"]
        assert {each["Namespace"] for each in found} <= {NAMESPACE}
        return {(each["Dimensions"][0]["Value"], each["MetricName"]) for each in found}

    everything = {("birds", "valid:loss"), ("pets", "accuracy"), ("pets", "valid:loss")}
    assert listed() == listed(Namespace=NAMESPACE) == everything
    assert listed(Namespace="AWS/S3") == set()
    assert listed(MetricName="accuracy") == {("pets", "accuracy")}
    assert listed(Dimensions=[{"Name": "TrainingJobName", "Value": "birds"}]) == {
        ("birds", "valid:loss")
    }
    assert listed(Dimensions=[{"Name": "TrainingJobName"}]) == everything
    assert listed(Dimensions=[{"Name": "Host"}]) == set()


def test_what_is_not_honoured_is_named(url: str, caplog: pytest.LogCaptureFixture) -> None:
    client("cloudwatch", url).list_metrics(RecentlyActive="PT3H")
    assert "ListMetrics: this platform does not honour RecentlyActive" in caplog.text


def test_unknown_operations_and_damaged_tokens(cloudwatch: Any) -> None:
    with pytest.raises(ClientError, match="no operation 'ListDashboards' of cloudwatch"):
        cloudwatch.list_dashboards()
    with pytest.raises(ClientError, match="Invalid NextToken 'x'"):
        cloudwatch.list_metrics(NextToken="x")
    for forged in (-1, "1", 1e400, True, [1], None):
        with pytest.raises(ClientError, match="Invalid NextToken"):
            cloudwatch.list_metrics(NextToken=token_of(forged))
    deep = base64.urlsafe_b64encode(b"[" * 100_000).decode()
    with pytest.raises(ClientError, match="Invalid NextToken"):
        cloudwatch.list_metrics(NextToken=deep)
    with pytest.raises(ClientError, match="failed to satisfy") as raised:
        cloudwatch.list_metrics(Namespace="x" * 300)
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def _endpoint(context: LocalContext, name: str, lines: dict[str, str], **more: Any) -> None:
    variant = {"VariantName": "blue"}
    record = {"EndpointName": name, "ProductionVariants": [variant], **more}
    context.records.create("endpoints", name, record)
    for token, text in lines.items():
        told = context.records.folder("endpoints", name) / "deployments" / token / "told"
        told.mkdir(parents=True)
        (told / "requests").write_text(text)


def _invocations(cloudwatch: Any, metric: str, *dimensions: tuple[str, str]) -> list[Any]:
    answer = cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions],
        StartTime=datetime(2026, 5, 4, 10, tzinfo=UTC),
        EndTime=datetime(2026, 5, 4, 11, tzinfo=UTC),
        Period=60,
        Statistics=["Sum"],
    )
    found = sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])
    return [(point["Timestamp"].minute, point["Sum"]) for point in found]


def test_endpoints_have_their_invocations(tmp_path) -> None:
    context = local_context(Settings(home=tmp_path))
    hour = int(datetime(2026, 5, 4, 10, tzinfo=UTC).timestamp() // 60)
    lines = {"one": f"{hour + 5:>12} {3:>12}\n", "two": f"{hour + 5:>12} 4\n{hour + 9} 1\n {hour}"}
    _endpoint(context, "pets", lines)
    _endpoint(context, "later", {"one": f"{hour + 7} 2\n"}, AsyncInferenceConfig={"a": 1})
    _endpoint(context, "quiet", {"one": ""})
    with served(context) as url:
        cloudwatch = client("cloudwatch", url)
        pets = (("EndpointName", "pets"), ("VariantName", "blue"))
        assert _invocations(cloudwatch, "Invocations", *pets) == [(5, 7.0), (9, 1.0)]
        assert _invocations(cloudwatch, "Invocations", *reversed(pets)) == [(5, 7.0), (9, 1.0)]
        # As on AWS: another dimension is another metric, and asynchronous ones have their own.
        assert _invocations(cloudwatch, "Invocations", pets[0]) == []
        later = ("EndpointName", "later")
        assert _invocations(cloudwatch, "Invocations", later, pets[1]) == []
        assert _invocations(cloudwatch, "InvocationsProcessed", later) == [(7, 2.0)]
        assert _invocations(cloudwatch, "Invocations", ("EndpointName", "none"), pets[1]) == []
        listed = cloudwatch.list_metrics(Namespace="AWS/SageMaker")["Metrics"]
        assert {
            (each["MetricName"], each["Dimensions"][0]["Value"], len(each["Dimensions"]))
            for each in listed
        } == {("Invocations", "pets", 2), ("InvocationsProcessed", "later", 1)}
