from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from platforms import Settings
from platforms.errors import ParameterError
from platforms.local.toolkit.hyperparameters import arguments
from platforms.validation import validate
from sm_entrypoints import contract
from tasks.improve.plan import comparison_request
from tasks.parameters.improvement import ImprovementParameters
from tasks.requests.tags import DIGEST_TAG
from tests.worlds.improvements import VERDICT, planned, write_run

SOURCE = "s3://b/new.tar.gz"


def test_the_verdicts_change_is_measured_as_the_verdict_means_it(awkward_path):
    run = write_run(awkward_path)
    found = planned(awkward_path)
    assert found.run == run
    assert (found.change, found.measure) == ({"num_workers": 2}, "speed")
    assert (found.epochs_run, found.cached_features) == (4, False)
    assert found.sentence == VERDICT["sentence"]


def test_an_own_change_is_not_what_the_verdict_expects_something_of(awkward_path):
    write_run(awkward_path)
    found = planned(awkward_path, change={"lr": 0.1})
    assert (found.change, found.measure, found.expected_gain) == ({"lr": 0.1}, "auto", {})
    assert planned(awkward_path, change={"lr": 0.1}, measure="quality").measure == "quality"
    assert planned(awkward_path, change={"num_workers": 2}).expected_gain["factor"] == 1.5


def test_a_change_of_speed_is_about_the_epochs_of_the_whole_network(awkward_path):
    training = {"epochs_run": 8, "cached_features": True, "features_from_epoch": 2}
    write_run(awkward_path, training=training)
    found = planned(awkward_path)
    assert (found.epochs_run, found.cached_features) == (1, False)
    own = planned(awkward_path, change={"batch_size": 8})
    assert (own.measure, own.epochs_run, own.cached_features) == ("auto", 1, False)
    for options in ({"change": {"lr": 0.1}}, {"change": {"patience": 2}, "measure": "quality"}):
        quality = planned(awkward_path, **options)
        assert (quality.epochs_run, quality.cached_features) == (8, True)
    from_the_start = {**training, "features_from_epoch": 1}
    write_run(awkward_path, training=from_the_start)
    assert (planned(awkward_path).epochs_run, planned(awkward_path).cached_features) == (8, True)


def test_nothing_to_change_is_a_plan(awkward_path):
    write_run(awkward_path, verdict={"sentence": "All is well.", "change": None})
    assert planned(awkward_path).change == {}


def test_a_run_without_a_verdict_can_be_improved_by_an_own_change(awkward_path):
    write_run(awkward_path, verdict=None, training={"epochs_run": 0})
    found = planned(awkward_path, change={"lr": 0.1})
    assert (found.epochs_run, found.cached_features, found.sentence) == (None, None, "")
    with pytest.raises(ParameterError, match=r"no verdict.*--change NAME=VALUE"):
        planned(awkward_path)


def test_mistakes_are_said_before_anything_is_made(awkward_path):
    with pytest.raises(ParameterError, match="there is no run 'ghost'"):
        planned(awkward_path, "ghost")
    run = write_run(awkward_path)
    broken = Settings(home=awkward_path).runs / run.name / "training/instrumentation/verdict.json"
    broken.write_text("{")
    with pytest.raises(ParameterError, match=r"verdict\.json cannot be read"):
        planned(awkward_path)
    broken.write_text('{"change": {"speed": 9}}')
    with pytest.raises(ParameterError, match="unknown hyperparameter 'speed'"):
        planned(awkward_path)


def test_a_run_that_trained_nothing_cannot_be_improved(awkward_path):
    from tasks.runs.record import open_run

    open_run(Settings(home=awkward_path), "id", "fresh", {}, resume=False)
    with pytest.raises(ParameterError, match="'fresh' has no training job"):
        planned(awkward_path, "fresh")


@pytest.mark.parametrize(
    "asked",
    [{"change": {"learning_rate": 1}}, {"seconds": 1}, {"pairs": 5}, {"measure": "both"}],
)
def test_parameters_are_bounded(asked):
    with pytest.raises(ValidationError):
        ImprovementParameters(**asked)


def test_another_question_is_another_job(awkward_path):
    write_run(awkward_path)
    names = {
        planned(awkward_path, **asked).job_name(SOURCE)
        for asked in ({}, {"seconds": 60}, {"pairs": 9}, {"change": {"lr": 0.1}})
    }
    one = planned(awkward_path)
    names.add(one.job_name("s3://b/changed code.tar.gz"))
    assert len(names) == 5
    assert one.job_name(SOURCE) == planned(awkward_path).job_name(SOURCE)
    assert one.job_name(SOURCE, 2) == f"{one.job_name(SOURCE)}-2"
    assert all(len(name) <= 60 for name in names)


def described():
    hyperparameters = {
        "lr": "0.01",
        "model": "resnet18",
        "instrumentation": "on",
        "sagemaker_program": "sm_entrypoints/train.py",
        "sagemaker_submit_directory": "s3://b/old.tar.gz",
    }
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://b/data/train/"}
    return {
        "TrainingJobName": "x-train",
        "TrainingJobStatus": "Completed",
        "AlgorithmSpecification": {
            "TrainingImage": "image",
            "TrainingInputMode": "File",
            "MetricDefinitions": contract.metric_definitions(),
        },
        "RoleArn": "arn:aws:iam::111122223333:role/trainer",
        "HyperParameters": hyperparameters,
        "InputDataConfig": [
            {"ChannelName": "train", "DataSource": {"S3DataSource": source}, "InputMode": "File"}
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://b/jobs"},
        "ResourceConfig": {
            "InstanceType": "ml.m5.xlarge",
            "InstanceCount": 2,
            "VolumeSizeInGB": 30,
            "KeepAlivePeriodInSeconds": 60,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
        "EnableManagedSpotTraining": True,
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]},
        "CheckpointConfig": {"S3Uri": "s3://b/checkpoints"},
        "DebugHookConfig": {"S3OutputPath": "s3://b/jobs"},
    }


def test_the_request_is_the_jobs_own_but_for_what_it_runs(awkward_path):
    write_run(awkward_path)
    plan, job = planned(awkward_path), described()
    request = comparison_request(plan, job, SOURCE, {"whippet:run": "x"})
    validate("CreateTrainingJob", request)
    for member in ("RoleArn", "InputDataConfig", "OutputDataConfig", "VpcConfig"):
        assert request[member] == job[member]
    assert request["ResourceConfig"] == {
        "InstanceType": "ml.m5.xlarge",
        "InstanceCount": 1,
        "VolumeSizeInGB": 30,
    }
    assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 600}
    left_out = {"CheckpointConfig", "DebugHookConfig", "EnableManagedSpotTraining"}
    assert not left_out & set(request)
    assert {tag["Key"] for tag in request["Tags"]} == {"whippet:run", DIGEST_TAG}


def test_the_change_reaches_the_program_as_json(awkward_path):
    write_run(awkward_path, verdict={**VERDICT, "change": {"num_workers": 2, "precision": "auto"}})
    request = comparison_request(planned(awkward_path), described(), SOURCE, {})
    argv = arguments(request)
    given = dict(zip(argv[::2], argv[1::2], strict=True))
    assert json.loads(given.pop("--change")) == {"num_workers": 2, "precision": "auto"}
    assert given == {
        "--cached": "False",
        "--instrumentation": "on",
        "--job_epochs": "4",
        "--lr": "0.01",
        "--measure": "speed",
        "--model": "resnet18",
        "--pairs": "6",
        "--seconds": "120.0",
    }
    assert request["HyperParameters"]["sagemaker_program"] == "sm_entrypoints/compare.py"
