from __future__ import annotations

import copy
import json

import pytest
from botocore.validate import ParamValidator

from platforms.validation import service_model, validate
from sm_entrypoints import contract
from tasks.parameters.ranges import CategoricalRange
from tasks.parameters.run import (
    ResourceParameters,
    TrainingParameters,
    TuningParameters,
)
from tasks.requests.bodies import training_job_request, tuning_job_request
from tasks.requests.identity import request_digest, with_tags
from tasks.requests.tags import DIGEST_TAG
from tests.worlds.requests import TAGS, deployment_requests, inputs

GRID = {
    "batch_size": CategoricalRange(values=[16, 32]),
    "optimizer": CategoricalRange(values=["adam", "sgd"]),
}


def training(values=None, job=None, **changes):
    values = {"lr": 1e-3, "epochs": 4} if values is None else values
    return training_job_request(
        "demo-train", values, job or inputs(), TrainingParameters(**changes)
    )


def tuning(job=None, **changes):
    parameters = TuningParameters(**changes)
    return tuning_job_request(
        "demo-tune", parameters.search_ranges(), {"epochs": 4}, job or inputs(), parameters
    )


def every_request():
    return [
        ("CreateTrainingJob", training()),
        ("CreateTrainingJob", training(debugger=False)),
        ("CreateTrainingJob", training(job=inputs(weights_uri=None))),
        ("CreateTrainingJob", training(job=inputs(checkpoint_uri="s3://bucket/checkpoints/x"))),
        *(("CreateHyperParameterTuningJob", tuning(preset=preset)) for preset in PRESETS),
        ("CreateHyperParameterTuningJob", tuning(strategy="Random", early_stopping="Auto")),
        ("CreateHyperParameterTuningJob", tuning(strategy="Hyperband")),
        ("CreateHyperParameterTuningJob", tuning(strategy="Grid", ranges=GRID)),
        ("CreateHyperParameterTuningJob", tuning(warm_start_from=["parent-a", "parent-b"])),
        *deployment_requests(),
    ]


PRESETS = ("quick", "lr-batch-epochs", "lr-batch-eps-decay")


@pytest.mark.parametrize(("operation", "request_body"), every_request())
def test_the_service_would_take_every_request(operation, request_body):
    shape = service_model("sagemaker").operation_model(operation).input_shape
    report = ParamValidator().validate(request_body, shape)
    assert not report.has_errors(), report.generate_report()
    validate(operation, request_body)


@pytest.mark.parametrize(("operation", "request_body"), every_request())
def test_every_request_carries_the_runs_tags_and_its_digest(operation, request_body):
    tags = {tag["Key"]: tag["Value"] for tag in request_body["Tags"]}
    assert tags == {**TAGS, DIGEST_TAG: request_digest(request_body)}


def test_requests_are_pure():
    values = {"lr": 1e-3, "epochs": 4}
    job = inputs()
    before = copy.deepcopy(values)
    assert training(values, job) == training(values, job)
    assert values == before
    first, second = training(values, job), training(values, job)
    first["HyperParameters"]["lr"] = "changed"
    assert second["HyperParameters"]["lr"] == "0.001"


@pytest.mark.parametrize("request_body", [training, tuning], ids=["training", "search"])
def test_features_make_a_job_faster_not_another(request_body):
    """A run that began before there were features goes on with the jobs that it has."""
    with_features = inputs(features_uri="s3://bucket/whippet/features/x/")
    plain, faster = request_body(), request_body(job=with_features)
    assert "features" in str(faster)
    assert "features" not in str(plain)
    assert request_digest(plain) == request_digest(faster)


def test_digest_ignores_tags_and_order_but_nothing_else():
    body = training()
    assert request_digest(body) == request_digest(with_tags(body, {"whippet:run": "other"}))
    assert request_digest(body) == request_digest(dict(reversed(body.items())))
    assert request_digest(body) == request_digest(json.loads(json.dumps(body)))
    others = [
        training({"lr": 1e-3, "epochs": 5}),
        training(job=inputs(weights_uri=None)),
        training(job=inputs(resources=ResourceParameters(max_runtime_seconds=60))),
        training(debugger=False),
        training(save_interval=21),
    ]
    digests = {request_digest(other) for other in [body, *others]}
    assert len(digests) == len(others) + 1


def test_hyperparameters_are_strings_and_name_the_program():
    values = {"lr": 1e-7, "epochs": 4, "channels_last": True, "model": "resnet18"}
    found = training(values)["HyperParameters"]
    assert found == {
        "lr": "1e-07",
        "epochs": "4",
        "channels_last": "true",
        "model": "resnet18",
        "sagemaker_program": contract.TRAIN_PROGRAM,
        "sagemaker_submit_directory": inputs().source_uri,
    }
    static = tuning()["TrainingJobDefinition"]["StaticHyperParameters"]
    assert all(isinstance(value, str) for value in static.values())
    assert static["sagemaker_program"] == contract.TRAIN_PROGRAM


def test_channels_are_the_splits_and_the_weights():
    channels = {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"]
        for channel in training()["InputDataConfig"]
    }
    assert channels == {
        "train": "s3://bucket/whippet/datasets/clipart/train/",
        "valid": "s3://bucket/whippet/datasets/clipart/valid/",
        "test": "s3://bucket/whippet/datasets/clipart/test/",
        "weights": inputs().weights_uri,
    }
    without = training(job=inputs(weights_uri=None))["InputDataConfig"]
    assert [channel["ChannelName"] for channel in without] == list(contract.SPLITS)


def test_debugger_and_profiler_are_asked_for_as_the_user_says():
    body = training(save_interval=7, profiling_interval_ms=100)
    assert body["ProfilerConfig"]["ProfilingIntervalInMilliseconds"] == 100
    hook = body["DebugHookConfig"]
    assert hook["HookParameters"] == {
        "train.save_interval": "7",
        "eval.save_interval": "7",
        "whippet.quota_bytes": "2000000",
    }
    losses = hook["CollectionConfigurations"][0]
    assert losses["CollectionParameters"] == {"save_interval": "1"}
    assert "DebugHookConfig" not in training(debugger=False)


def test_the_search_minimises_a_metric_that_the_job_prints():
    config = tuning()["HyperParameterTuningJobConfig"]
    objective = config["HyperParameterTuningJobObjective"]
    assert objective == {"Type": "Minimize", "MetricName": "valid:loss"}
    definition = tuning()["TrainingJobDefinition"]["AlgorithmSpecification"]
    names = [metric["Name"] for metric in definition["MetricDefinitions"]]
    assert objective["MetricName"] in names


@pytest.mark.parametrize(
    ("changes", "limits"),
    [
        (
            {"max_jobs": 9, "max_parallel_jobs": 3},
            {"MaxNumberOfTrainingJobs": 9, "MaxParallelTrainingJobs": 3},
        ),
        (
            {"max_jobs": 2, "max_parallel_jobs": 3},
            {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2},
        ),
        # SageMaker refuses a count for a grid: its size follows from its values.
        (
            {"strategy": "Grid", "ranges": GRID, "max_jobs": 1, "max_parallel_jobs": 8},
            {"MaxParallelTrainingJobs": 4},
        ),
    ],
)
def test_resource_limits(changes, limits):
    assert tuning(**changes)["HyperParameterTuningJobConfig"]["ResourceLimits"] == limits


def test_hyperband_gets_its_resources_and_nobody_else():
    config = tuning(strategy="Hyperband", max_epochs=9)["HyperParameterTuningJobConfig"]
    assert config["StrategyConfig"]["HyperbandStrategyConfig"] == {
        "MinResource": 1,
        "MaxResource": 9,
    }
    assert "StrategyConfig" not in tuning()["HyperParameterTuningJobConfig"]


def test_warm_start_names_its_parents():
    found = tuning(warm_start_from=["a", "b"])["WarmStartConfig"]
    parents = found["ParentHyperParameterTuningJobs"]
    assert parents == [{"HyperParameterTuningJobName": name} for name in ("a", "b")]
    assert "WarmStartConfig" not in tuning()
