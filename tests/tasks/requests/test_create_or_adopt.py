from __future__ import annotations

from dataclasses import replace

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from platforms.client_errors import client_error, is_not_found
from platforms.errors import NameTaken
from tasks.endpoints.requests import endpoint_request
from tasks.parameters.run import TrainingParameters, TuningParameters
from tasks.requests.bodies import training_job_request, tuning_job_request
from tasks.requests.create_or_adopt import (
    ENDPOINT,
    MODEL,
    TRAINING_JOB,
    TUNING_JOB,
    create_or_adopt,
)
from tests.worlds.fake_sagemaker import FakeSageMaker, Lost, throttled
from tests.worlds.requests import deployment_requests, inputs


def name(attempt: int) -> str:
    return "demo-train" if attempt == 1 else f"demo-train-{attempt}"


def wanted(attempt: int, lr: float = 0.1):
    return training_job_request(name(attempt), {"lr": lr}, inputs(), TrainingParameters())


def other(attempt: int):
    return wanted(attempt, lr=0.2)


def created(sagemaker: FakeSageMaker) -> list[str]:
    return [operation for operation, _ in sagemaker.calls if operation.startswith("create")]


def test_nothing_there_is_created():
    sagemaker = FakeSageMaker()
    assert create_or_adopt(sagemaker, TRAINING_JOB, wanted) == "demo-train"
    assert sagemaker.names("training_job") == ["demo-train"]


def test_the_same_request_is_adopted():
    sagemaker = FakeSageMaker()
    for status in ("InProgress", "Completed"):
        create_or_adopt(sagemaker, TRAINING_JOB, wanted)
        sagemaker.resources["training_job", "demo-train"]["TrainingJobStatus"] = status
        assert create_or_adopt(sagemaker, TRAINING_JOB, wanted) == "demo-train"
    assert created(sagemaker) == ["create_training_job"]


@pytest.mark.parametrize("status", ["InProgress", "Completed"])
def test_another_request_of_that_name_is_refused(status):
    sagemaker = FakeSageMaker()
    create_or_adopt(sagemaker, TRAINING_JOB, other)
    sagemaker.resources["training_job", "demo-train"]["TrainingJobStatus"] = status
    with pytest.raises(NameTaken, match=r"training job 'demo-train' exists .*use another run name"):
        create_or_adopt(sagemaker, TRAINING_JOB, wanted)
    assert len(sagemaker.resources) == 1


@pytest.mark.parametrize("resource", [TRAINING_JOB, TUNING_JOB])
def test_a_run_that_goes_on_after_an_upgrade_keeps_its_jobs(resource):
    def asked(source: str):
        job = replace(inputs(), source_uri=f"s3://bucket/code/{source}/sourcedir.tar.gz")
        if resource is TRAINING_JOB:
            return training_job_request("demo", {"lr": 0.1}, job, TrainingParameters())
        return tuning_job_request("demo", {}, {"epochs": 2}, job, TuningParameters())

    sagemaker, notes = FakeSageMaker(), []
    for source in ("old", "old", "new"):
        name = create_or_adopt(sagemaker, resource, lambda _: asked(source), told=notes.append)  # noqa: B023
        assert name == "demo"
    assert notes == [
        f"{resource.noun} 'demo' began with an earlier version of the code, and is kept"
    ]
    assert len(created(sagemaker)) == 1


def test_a_resource_without_our_tags_is_refused():
    sagemaker = FakeSageMaker()
    sagemaker.create_training_job(**{**wanted(1), "Tags": []})
    with pytest.raises(NameTaken, match="'demo-train'"):
        create_or_adopt(sagemaker, TRAINING_JOB, wanted)


@pytest.mark.parametrize("status", ["Failed", "Stopped", "Stopping"])
@pytest.mark.parametrize("before", [wanted, other])
def test_a_spent_job_is_left_as_evidence(status, before):
    sagemaker = FakeSageMaker()
    create_or_adopt(sagemaker, TRAINING_JOB, before)
    sagemaker.resources["training_job", "demo-train"]["TrainingJobStatus"] = status
    assert create_or_adopt(sagemaker, TRAINING_JOB, wanted) == "demo-train-2"
    assert create_or_adopt(sagemaker, TRAINING_JOB, wanted) == "demo-train-2"
    assert sagemaker.names("training_job") == ["demo-train", "demo-train-2"]


def test_only_what_had_failed_when_the_run_was_planned_gets_another_attempt():
    """The cap has room for one: a job that fails while it is adopted is not paid for twice."""
    sagemaker = FakeSageMaker()
    create_or_adopt(sagemaker, TRAINING_JOB, wanted, spent=[])
    sagemaker.resources["training_job", "demo-train"]["TrainingJobStatus"] = "Failed"
    assert create_or_adopt(sagemaker, TRAINING_JOB, wanted, spent=[]) == "demo-train"
    assert sagemaker.names("training_job") == ["demo-train"]
    planned = ["demo-train"]
    assert create_or_adopt(sagemaker, TRAINING_JOB, wanted, spent=planned) == "demo-train-2"
    sagemaker.resources["training_job", "demo-train-2"]["TrainingJobStatus"] = "Stopping"
    assert create_or_adopt(sagemaker, TRAINING_JOB, wanted, spent=planned) == "demo-train-2"
    assert sagemaker.names("training_job") == ["demo-train", "demo-train-2"]


def test_attempts_are_not_endless():
    sagemaker = FakeSageMaker()
    for attempt in range(1, 10):
        sagemaker.create_training_job(**wanted(attempt))
        sagemaker.resources["training_job", name(attempt)]["TrainingJobStatus"] = "Failed"
    with pytest.raises(NameTaken, match="9 earlier attempts failed; start a new run"):
        create_or_adopt(sagemaker, TRAINING_JOB, wanted)
    assert len(sagemaker.resources) == 9


def racing(sagemaker: FakeSageMaker, body) -> None:
    """Let someone else create the job between our describe and our create."""
    sagemaker.create_training_job(**body)
    lost = client_error(
        "DescribeTrainingJob", "ValidationException", "Requested resource not found."
    )
    sagemaker.faults["describe_training_job"].append(lost)


def test_a_racers_job_is_adopted():
    sagemaker = FakeSageMaker()
    racing(sagemaker, wanted(1))
    assert create_or_adopt(sagemaker, TRAINING_JOB, wanted) == "demo-train"
    assert len(sagemaker.resources) == 1


def test_a_racers_other_job_is_refused():
    sagemaker = FakeSageMaker()
    racing(sagemaker, other(1))
    with pytest.raises(NameTaken):
        create_or_adopt(sagemaker, TRAINING_JOB, wanted)


def test_a_lost_answer_costs_no_second_job():
    sagemaker = FakeSageMaker()
    lost = ReadTimeoutError(endpoint_url="http://sagemaker")
    sagemaker.faults["create_training_job"].append(Lost(lost))
    with pytest.raises(ReadTimeoutError):
        create_or_adopt(sagemaker, TRAINING_JOB, wanted)
    # What Prefect does next, since the fault is a transient one.
    assert create_or_adopt(sagemaker, TRAINING_JOB, wanted) == "demo-train"
    assert created(sagemaker) == ["create_training_job"]


def test_a_retry_inside_boto_is_adopted():
    sagemaker = FakeSageMaker()
    again = client_error("CreateTrainingJob", "ResourceInUse", "Training job names must be unique")
    sagemaker.faults["create_training_job"].append(Lost(again))
    assert create_or_adopt(sagemaker, TRAINING_JOB, wanted) == "demo-train"
    assert len(sagemaker.resources) == 1


def test_one_that_vanishes_meanwhile_is_the_services_error():
    sagemaker = FakeSageMaker()
    in_use = client_error("CreateTrainingJob", "ResourceInUse", "already exists")
    sagemaker.faults["create_training_job"].append(in_use)
    with pytest.raises(ClientError, match="already exists"):
        create_or_adopt(sagemaker, TRAINING_JOB, wanted)


@pytest.mark.parametrize("operation", ["describe_training_job", "create_training_job", "list_tags"])
def test_errors_of_the_service_go_on_and_create_nothing_twice(operation):
    sagemaker = FakeSageMaker()
    if operation == "list_tags":
        create_or_adopt(sagemaker, TRAINING_JOB, wanted)
    sagemaker.faults[operation].append(throttled())
    with pytest.raises(ClientError, match="Rate exceeded"):
        create_or_adopt(sagemaker, TRAINING_JOB, wanted)
    assert create_or_adopt(sagemaker, TRAINING_JOB, wanted) == "demo-train"
    assert len(sagemaker.resources) == 1


def test_a_bad_request_is_not_taken_for_an_existing_job():
    sagemaker = FakeSageMaker()
    with pytest.raises(ClientError, match="failed to satisfy constraint"):
        create_or_adopt(
            sagemaker, TRAINING_JOB, lambda _: {**wanted(1), "TrainingJobName": "no_underscore"}
        )


def test_every_kind_is_created_once():
    sagemaker = FakeSageMaker()
    tuning = TuningParameters()
    ranges = tuning.search_ranges()
    (_, model), _, _ = deployment_requests()
    endpoint = endpoint_request("demo-endpoint", "demo-config", {})
    for _ in range(2):
        create_or_adopt(
            sagemaker,
            TUNING_JOB,
            lambda _: tuning_job_request("demo-tune", ranges, {}, inputs(), tuning),
        )
        create_or_adopt(sagemaker, MODEL, lambda _: model)
        create_or_adopt(sagemaker, ENDPOINT, lambda _: endpoint)
    assert created(sagemaker) == [
        "create_hyper_parameter_tuning_job",
        "create_model",
        "create_endpoint",
    ]


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("ResourceNotFound", "Amazon SageMaker can't find a tuning job", True),
        ("ValidationException", "Requested resource not found.", True),
        ("ValidationException", 'Could not find endpoint "arn:…".', True),
        ("ValidationException", "1 validation error detected", False),
        ("ResourceInUse", "not found", False),
    ],
)
def test_not_found(code, message, expected):
    assert is_not_found(client_error("Describe", code, message)) is expected
