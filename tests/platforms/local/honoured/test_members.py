"""Nothing of a request is passed over in silence: each member is honoured, or it is named."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from platforms.local.client import LocalSageMaker, operation_names
from platforms.local.cloudwatch.operations import OPERATIONS as METRICS
from platforms.local.context import LocalContext, local_context
from platforms.local.honoured.members import HONOURED, NAMED_BY_THEMSELVES, name_unhonoured
from platforms.local.identity.operations import IAM_OPERATIONS, STS_OPERATIONS
from platforms.local.job_logs.operations import OPERATIONS as LOGS
from platforms.settings import Settings
from platforms.validation import service_model

PLAN = "arn:aws:sagemaker:eu-west-1:000000000000:training-plan/mine"
START = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)


def operations() -> dict[str, list[str]]:
    """Return SageMaker's names of all operations there are, service by service."""
    sagemaker = LocalSageMaker(local_context(Settings(home=Path("nowhere"))))
    names = {"sagemaker": [operation_names()[name] for name in sagemaker.operations]}
    others = {"logs": LOGS, "cloudwatch": METRICS, "iam": IAM_OPERATIONS, "sts": STS_OPERATIONS}
    for service, ours in others.items():
        pascal = [name.replace("_", " ").title().replace(" ", "") for name in ours]
        names[service] = pascal
    return names


EVERY = [(service, name) for service, names in operations().items() for name in names]


@pytest.mark.parametrize(("service", "operation"), EVERY)
def test_each_member_is_honoured_or_named(
    service: str, operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    if operation in NAMED_BY_THEMSELVES:
        return
    shape = service_model(service).operation_model(operation).input_shape
    assert shape is not None
    honoured = HONOURED[service][operation]
    assert set(honoured) <= set(shape.members), "no such member"
    with caplog.at_level(logging.WARNING):
        name_unhonoured(service, operation, dict.fromkeys(shape.members, "given"))
    named = caplog.text.partition("does not honour ")[2].strip().split(", ")
    assert set(named) - {""} == set(shape.members) - set(honoured)


def test_no_list_is_left_of_an_operation_that_has_gone() -> None:
    listed = {(service, name) for service, names in HONOURED.items() for name in names}
    assert listed | {("sagemaker", name) for name in NAMED_BY_THEMSELVES} == set(EVERY)


@pytest.fixture
def context(tmp_path: Path) -> LocalContext:
    """Three jobs, an hour apart, each with a status of its own; one of a training plan."""
    context = local_context(Settings(home=tmp_path))
    for number, (name, status) in enumerate(
        [("birds", "Failed"), ("cats", "Completed"), ("dogs", "Stopped")]
    ):
        moment = (START + timedelta(hours=number)).isoformat(timespec="microseconds")
        record = {
            "TrainingJobName": name,
            "TrainingJobArn": context.arn("training-job", name),
            "TrainingJobStatus": status,
            "SecondaryStatus": status,
            "CreationTime": moment,
            "LastModifiedTime": moment,
            "ResourceConfig": {"TrainingPlanArn": PLAN} if name == "cats" else {},
        }
        context.records.create("training-jobs", name, record)
    return context


@pytest.mark.parametrize(
    ("request_", "names"),
    [
        ({}, ["birds", "cats", "dogs"]),
        ({"SortOrder": "Descending"}, ["dogs", "cats", "birds"]),
        ({"SortBy": "Name", "SortOrder": "Descending"}, ["dogs", "cats", "birds"]),
        ({"SortBy": "Status"}, ["cats", "birds", "dogs"]),
        ({"NameContains": "s", "MaxResults": 1}, ["birds"]),
        ({"NameContains": "at"}, ["cats"]),
        ({"StatusEquals": "Stopped"}, ["dogs"]),
        ({"CreationTimeAfter": START}, ["cats", "dogs"]),
        ({"CreationTimeBefore": START + timedelta(hours=1)}, ["birds"]),
        ({"LastModifiedTimeAfter": START + timedelta(hours=1)}, ["dogs"]),
        ({"LastModifiedTimeBefore": START + timedelta(minutes=1)}, ["birds"]),
        ({"TrainingPlanArnEquals": PLAN}, ["cats"]),
        ({"TrainingPlanArnEquals": PLAN + "2"}, []),
        ({"WarmPoolStatusEquals": "Available"}, []),
    ],
)
def test_filters_of_training_jobs(
    context: LocalContext, request_: dict[str, Any], names: list[str]
) -> None:
    found = LocalSageMaker(context).list_training_jobs(**request_)["TrainingJobSummaries"]
    assert [each["TrainingJobName"] for each in found] == names


def test_a_filter_that_nothing_can_pass_is_named(
    context: LocalContext, caplog: pytest.LogCaptureFixture
) -> None:
    LocalSageMaker(context).list_training_jobs(WarmPoolStatusEquals="Available")
    assert "WarmPoolStatusEquals" in caplog.text
