"""Network, keys, spot, warm pools and several instances in requests; refusals of Debugger."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pydantic import ValidationError

from platforms import Settings
from platforms.client_errors import client_error
from platforms.errors import ParameterError
from platforms.validation import validate
from sm_entrypoints import contract
from tasks.endpoints.requests import ModelInputs, endpoint_config_request, model_request
from tasks.parameters.run import (
    DeploymentParameters,
    ResourceParameters,
    TrainingParameters,
    TuningParameters,
)
from tasks.requests.bodies import JobInputs, training_job_request, tuning_job_request
from tasks.requests.create_or_adopt import TRAINING_JOB, create_or_adopt
from tasks.requests.debugger import MEMBERS, DebuggerFallback
from tasks.requests.placement import Placement, placement_of
from tasks.requests.tags import DIGEST_TAG
from tests.worlds.fake_sagemaker import FakeSageMaker

ROLE = "arn:aws:iam::123456789012:role/whippet"
GUARDED = Placement(
    subnets=("subnet-1a", "subnet-1b"),
    security_groups=("sg-1",),
    volume_kms_key="key-1",
    output_kms_key="key-2",
)
VPC = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1a", "subnet-1b"]}
REFUSAL = "Debugger is not available to new customers: remove DebugHookConfig"


def jobs(resources: dict[str, Any], placement: Placement = GUARDED) -> Iterator[dict[str, Any]]:
    """Give a training job's request and the definition of a search's trials."""
    job = JobInputs(
        image="image",
        role_arn=ROLE,
        source_uri="s3://b/code/sourcedir.tar.gz",
        data_uri="s3://b/data",
        output_uri="s3://b/jobs",
        weights_uri=None,
        resources=ResourceParameters(**resources),
        checkpoint_uri="s3://b/checkpoints/x",
        placement=placement,
    )
    training = training_job_request("train", {"lr": 0.1}, job, TrainingParameters())
    validate("CreateTrainingJob", training)
    tuning = TuningParameters()
    search = tuning_job_request("tune", tuning.search_ranges(), {}, job, tuning)
    validate("CreateHyperParameterTuningJob", search)
    yield training
    yield search["TrainingJobDefinition"]


def test_network_and_keys_reach_every_job_and_the_model():
    for request in jobs({}):
        assert request["VpcConfig"] == VPC
        assert request["ResourceConfig"]["VolumeKmsKeyId"] == "key-1"
        assert request["OutputDataConfig"] == {"S3OutputPath": "s3://b/jobs", "KmsKeyId": "key-2"}
    inputs = ModelInputs(image="i", role_arn=ROLE, model_data_uri="s3://b/m", placement=GUARDED)
    model = model_request("model", inputs, DeploymentParameters())
    validate("CreateModel", model)
    assert model["VpcConfig"] == VPC


def test_a_serverless_endpoint_in_a_vpc_is_refused():
    inputs = ModelInputs(image="i", role_arn=ROLE, model_data_uri="s3://b/m", placement=GUARDED)
    with pytest.raises(ParameterError, match=r"serverless in the VPC.*use --kind real-time"):
        model_request("model", inputs, DeploymentParameters(kind="serverless"))


def test_without_them_nothing_is_said():
    for request in jobs({}, Placement()):
        assert "VpcConfig" not in request
        assert "EnableManagedSpotTraining" not in request
        assert set(request["ResourceConfig"]) == {"InstanceType", "InstanceCount", "VolumeSizeInGB"}
        assert request["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200}


@pytest.mark.parametrize(("asked", "wait"), [({}, 1200), ({"max_wait_seconds": 700}, 700)])
def test_spot_waits_for_capacity(asked, wait):
    resources = {"spot": True, "max_runtime_seconds": 600, **asked}
    for request in jobs(resources):
        assert request["EnableManagedSpotTraining"] is True
        assert request["StoppingCondition"] == {
            "MaxRuntimeInSeconds": 600,
            "MaxWaitTimeInSeconds": wait,
        }
        assert request["CheckpointConfig"] == {"S3Uri": "s3://b/checkpoints/x"}


def test_trials_keep_their_checkpoints_apart():
    training, trial = jobs({"spot": True})
    assert trial["Environment"] == {contract.CHECKPOINTS_BY_JOB: "1"}
    # The training goes on with its own, also under the name of another attempt.
    assert "Environment" not in training


@pytest.mark.parametrize("kind", ["real_time", "serverless", "asynchronous"])
def test_keys_reach_the_endpoint(kind):
    deployment = DeploymentParameters(kind=kind)
    config = endpoint_config_request(
        "c", "m", deployment=deployment, tags={}, async_uri="s3://b/async/e", placement=GUARDED
    )
    validate("CreateEndpointConfig", config)
    # A serverless endpoint has no volume of its own.
    assert config.get("KmsKeyId") == (None if kind == "serverless" else "key-1")
    if kind == "asynchronous":
        assert config["AsyncInferenceConfig"]["OutputConfig"]["KmsKeyId"] == "key-2"


def test_a_warm_pool():
    for request in jobs({"keep_alive_seconds": 900}):
        assert request["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 900


def test_several_instances_train_one_model():
    training, trial = jobs({"instance_type": "ml.g5.xlarge", "instance_count": 2})
    for values in (training["HyperParameters"], trial["StaticHyperParameters"]):
        assert values["sagemaker_torch_distributed_enabled"] == "true"
        assert values["sagemaker_instance_type"] == "ml.g5.xlarge"
    assert "sagemaker_instance_type" not in next(jobs({}))["HyperParameters"]


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"spot": True, "keep_alive_seconds": 60}, "cannot be kept warm"),
        ({"max_wait_seconds": 9000}, "use spot as well"),
        ({"spot": True, "max_wait_seconds": 60}, "less than max_runtime_seconds=7200"),
        ({"instance_count": 2}, "only if these have GPUs"),
    ],
)
def test_pairs_that_the_service_refuses(values, sentence):
    with pytest.raises(ValidationError, match=sentence):
        ResourceParameters(**values)


def test_settings_name_network_keys_and_tags(monkeypatch):
    monkeypatch.setenv("WHIPPET_SUBNETS", "subnet-1a, subnet-1b")
    monkeypatch.setenv("WHIPPET_SECURITY_GROUPS", "sg-1")
    monkeypatch.setenv("WHIPPET_VOLUME_KMS_KEY", "key-1")
    monkeypatch.setenv("WHIPPET_OUTPUT_KMS_KEY", "key-2")
    monkeypatch.setenv("WHIPPET_TAGS", "team=vision, cost-centre=4=2")
    settings = Settings()
    assert placement_of(settings) == GUARDED
    assert settings.tags == {"team": "vision", "cost-centre": "4=2"}


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("WHIPPET_SUBNETS", "subnet-1a", "set WHIPPET_SUBNETS and WHIPPET_SECURITY_GROUPS"),
        ("WHIPPET_TAGS", "vision", "write KEY=VALUE"),
        ("WHIPPET_TAGS", "whippet:run=x", "is reserved"),
    ],
)
def test_settings_that_contradict(monkeypatch, variable, value, sentence):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError, match=sentence):
        Settings()


def refusal(message: str = REFUSAL, code: Any = "ValidationException") -> ClientError:
    return client_error("CreateTrainingJob", code, message)


def request() -> dict[str, Any]:
    return next(jobs({}))


def launch(sagemaker: FakeSageMaker, fallback: DebuggerFallback) -> str:
    return create_or_adopt(sagemaker, TRAINING_JOB, lambda _attempt: request(), fallback)


def test_an_account_that_may_not_use_debugger_trains_without():
    sagemaker, fallback = FakeSageMaker(), DebuggerFallback(insist=False)
    sagemaker.faults["create_training_job"] = [refusal()]
    assert launch(sagemaker, fallback) == "train"
    assert fallback.reason == REFUSAL
    found = sagemaker.resources["training_job", "train"]
    assert not set(MEMBERS) & set(found)
    wanted = [tag for tag in request()["Tags"] if tag["Key"] == DIGEST_TAG]
    assert sagemaker.tags[found["TrainingJobArn"]] == wanted
    # A resumed run wishes for the same, and finds it.
    again = DebuggerFallback(insist=False)
    assert launch(sagemaker, again) == "train"
    assert again.reason is None
    assert [name for name, _ in sagemaker.calls].count("create_training_job") == 2


@pytest.mark.parametrize(
    ("insist", "error"),
    [
        (True, refusal()),
        (False, refusal("RoleArn is wrong")),
        (False, refusal("profile quota", "ResourceLimitExceeded")),
    ],
)
def test_what_is_no_refusal_of_debugger_stays_an_error(insist, error):
    sagemaker = FakeSageMaker()
    sagemaker.faults["create_training_job"] = [error]
    with pytest.raises(ClientError) as raised:
        launch(sagemaker, DebuggerFallback(insist=insist))
    assert raised.value is error
    assert sagemaker.names("training_job") == []


def test_a_second_refusal_is_not_asked_around():
    sagemaker = FakeSageMaker()
    sagemaker.faults["create_training_job"] = [refusal(), refusal()]
    with pytest.raises(ClientError):
        launch(sagemaker, DebuggerFallback(insist=False))


@pytest.mark.parametrize(("said", "meant"), [(True, "auto"), (False, "off"), ("on", "on")])
def test_records_of_earlier_versions_are_understood(said, meant):
    assert TrainingParameters(debugger=said).debugger == meant
