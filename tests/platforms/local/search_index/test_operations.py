from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from platforms.local.client import LocalSageMaker
from platforms.local.context import LocalContext, local_context
from platforms.settings import Settings
from tests.worlds.local.served import client, served

START = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> LocalContext:
    """Four jobs, each an hour after the one before; a model."""
    context = local_context(Settings(home=tmp_path_factory.mktemp("home")))
    jobs = [
        ("birds-1", "Failed", {"lr": "0.1", "optimizer": '"adam"', "a.b": "x"}, None),
        ("birds-2", "Completed", {"lr": "0.01", "batch-size": '"64"'}, 0.5),
        ("cats", "Completed", {"lr": "0.001", "batch-size": '"32"'}, 0.25),
        ("dogs", "Stopped", {"lr": "auto"}, None),
    ]
    for hours, (name, status, hyperparameters, loss) in enumerate(jobs):
        moment = (START + timedelta(hours=hours)).isoformat(timespec="microseconds")
        metrics = [{"MetricName": "valid:loss", "Value": loss, "Timestamp": moment}]
        channels = [("train", "s3://a/1"), ("test", "s3://b/2")]
        record = {
            "TrainingJobName": name,
            "TrainingJobArn": context.arn("training-job", name),
            "TrainingJobStatus": status,
            "CreationTime": moment,
            "LastModifiedTime": moment,
            "EnableManagedSpotTraining": name == "cats",
            "HyperParameters": hyperparameters,
            "OutputDataConfig": {"S3OutputPath": f"s3://bucket/{name}"},
            "AlgorithmSpecification": {"TrainingInputMode": "File"},
            "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
            "InputDataConfig": [
                {"ChannelName": channel, "DataSource": {"S3DataSource": {"S3Uri": uri}}}
                for channel, uri in channels
            ],
            "Tags": [{"Key": "team", "Value": name[:-2] if "-" in name else "us"}],
            **({} if loss is None else {"FinalMetricDataList": metrics}),
        }
        context.records.create("training-jobs", name, record)
    model = {"ModelName": "pets", "CreationTime": START.isoformat(timespec="microseconds")}
    context.records.create("models", "pets", {**model, "ModelArn": context.arn("model", "pets")})
    return context


def searched(context: LocalContext, **request: Any) -> list[str]:
    answer = LocalSageMaker(context).search(
        **{"Resource": "TrainingJob", "SortBy": "TrainingJobName", **request}
    )
    assert answer["TotalHits"] == {"Value": len(answer["Results"]), "Relation": "EqualTo"}
    return [each["TrainingJob"]["TrainingJobName"] for each in reversed(answer["Results"])]


def one(name: str, operator: str, value: str | None = None) -> dict[str, Any]:
    each = {"Name": name, "Operator": operator, "Value": value}
    return {"Filters": [{key: item for key, item in each.items() if item is not None}]}


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ({}, ["birds-1", "birds-2", "cats", "dogs"]),
        (one("TrainingJobName", "Contains", "birds"), ["birds-1", "birds-2"]),
        (one("TrainingJobStatus", "Equals", "Completed"), ["birds-2", "cats"]),
        (one("TrainingJobStatus", "NotEquals", "Completed"), ["birds-1", "dogs"]),
        (one("TrainingJobStatus", "In", "Failed, Stopped"), ["birds-1", "dogs"]),
        (one("HyperParameters.lr", "LessThan", "0.05"), ["birds-2", "cats"]),
        (one("HyperParameters.batch-size", "GreaterThanOrEqualTo", "64"), ["birds-2"]),
        (one("HyperParameters.optimizer", "Contains", "adam"), ["birds-1"]),
        (one("HyperParameters.a.b", "Equals", "x"), ["birds-1"]),
        (one("HyperParameters.batch-size", "NotExists"), ["birds-1", "dogs"]),
        (one("FinalMetricDataList", "Exists"), ["birds-2", "cats"]),
        (one("Metrics.valid:loss", "LessThanOrEqualTo", "0.25"), ["cats"]),
        (one("Tags.team", "Equals", "birds"), ["birds-1", "birds-2"]),
        (one("EnableManagedSpotTraining", "Equals", "true"), ["cats"]),
        (one("ResourceConfig.InstanceCount", "GreaterThan", "1.0"), []),
        (one("CreationTime", "GreaterThan", "2026-05-04T11:30:00Z"), ["cats", "dogs"]),
        (one("CreationTime", "LessThan", "2026-05-04T11:30:00"), ["birds-1"]),
        (one("InputDataConfig.DataSource.S3DataSource.S3Uri", "Equals", "s3://x"), []),
        (
            {"Filters": [*one("TrainingJobName", "Contains", "birds")["Filters"],
                         *one("TrainingJobStatus", "Equals", "Failed")["Filters"]]},
            ["birds-1"],
        ),
        (
            {
                "Operator": "Or",
                "Filters": one("TrainingJobName", "Equals", "dogs")["Filters"],
                "SubExpressions": [one("TrainingJobName", "Equals", "cats")],
            },
            ["cats", "dogs"],
        ),
    ],
)  # fmt: skip
def test_expressions(context: LocalContext, expression: dict[str, Any], names: list[str]) -> None:
    assert searched(context, SearchExpression=expression) == names


@pytest.mark.parametrize(("uri", "found"), [("s3://b", 4), ("s3://a", 0)])
def test_nested_filters_are_for_one_item(context: LocalContext, uri: str, found: int) -> None:
    where = "InputDataConfig"
    nested = {
        "NestedPropertyName": where,
        "Filters": [
            {"Name": f"{where}.ChannelName", "Operator": "Equals", "Value": "test"},
            {
                "Name": f"{where}.DataSource.S3DataSource.S3Uri",
                "Operator": "Contains",
                "Value": uri,
            },
        ],
    }
    assert len(searched(context, SearchExpression={"NestedFilters": [nested]})) == found


def test_order_and_pages(context: LocalContext) -> None:
    sagemaker = LocalSageMaker(context)

    def order(**request: Any) -> list[str]:
        results = sagemaker.search(Resource="TrainingJob", **request)["Results"]
        return [each["TrainingJob"]["TrainingJobName"] for each in results]

    assert order() == ["dogs", "cats", "birds-2", "birds-1"]
    assert order(SortOrder="Ascending") == ["birds-1", "birds-2", "cats", "dogs"]
    # Without the property: last, in either order.
    assert order(SortBy="Metrics.valid:loss")[:2] == ["birds-2", "cats"]
    assert order(SortBy="Metrics.valid:loss", SortOrder="Ascending")[:2] == ["cats", "birds-2"]
    with served(context) as url:
        pages = (
            client("sagemaker", url)
            .get_paginator("search")
            .paginate(Resource="TrainingJob", PaginationConfig={"PageSize": 3})
        )
        sizes = [len(page["Results"]) for page in pages]
    assert sizes == [3, 1]


def test_models_are_found(context: LocalContext) -> None:
    answer = LocalSageMaker(context).search(
        Resource="Model", SearchExpression=one("ModelName", "Equals", "pets")
    )
    assert answer["Results"][0]["Model"]["Model"]["ModelName"] == "pets"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"Resource": "Experiment"}, "'Experiment' is not available here; search one of Endpoint"),
        ({"NextToken": "x"}, "Invalid NextToken 'x'"),
        (
            {"SearchExpression": one("HyperParameters.lr", "GreaterThan", "big")},
            "needs a number or a time, not 'big'",
        ),
        ({"SearchExpression": one("HyperParameters.lr", "Contains")}, "needs a Value"),
    ],
)
def test_what_cannot_be_searched(
    context: LocalContext, request_: dict[str, Any], words: str
) -> None:
    with pytest.raises((ClientError, ParamValidationError), match=words):
        searched(context, **request_)
