"""What bills goes with all that it consists of; what others made or use stays."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from botocore.exceptions import ClientError

from platforms import Settings
from tasks.costs.stop_billing import delete_with_config_and_models, stop_everything
from tasks.parameters.run import TrainingParameters
from tasks.requests.bodies import (
    training_job_request,
)
from tasks.runs.names import resource_name
from tasks.runs.record import open_run, record
from tasks.runs.record_model import RunFacts
from tests.worlds.fake_sagemaker import FakeSageMaker, throttled
from tests.worlds.platforms import deploy, fake_platform, four_endpoints
from tests.worlds.requests import ROLE, inputs

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def sagemaker() -> FakeSageMaker:
    return four_endpoints(NOW)


def test_endpoint_config_and_model_go_together(sagemaker):
    delete_with_config_and_models(fake_platform(sagemaker), "old")
    assert "old" not in sagemaker.names("endpoint")
    assert sagemaker.names("endpoint_config") == ["new-config", "forever-config"]
    assert sagemaker.names("model") == ["new-model", "forever-model"]
    deletions = [name for name, _ in sagemaker.calls if name.startswith("delete")]
    assert deletions == ["delete_endpoint", "delete_endpoint_config", "delete_model"]


def test_what_others_made_or_use_stays(sagemaker):
    """Somebody updated our endpoint to a config of theirs, and uses our model and config too."""
    sagemaker.create_model(ModelName="their-model", ExecutionRoleArn=ROLE)
    variant = {"VariantName": "a", "ModelName": "their-model", "InstanceType": "ml.t2.medium"}
    ours = {**variant, "VariantName": "b", "ModelName": "new-model"}
    sagemaker.create_endpoint_config(
        EndpointConfigName="their-config", ProductionVariants=[variant, ours]
    )
    sagemaker.resources["endpoint", "old"]["EndpointConfigName"] = "their-config"
    sagemaker.create_endpoint(EndpointName="their-own", EndpointConfigName="forever-config")
    for name in ("old", "new", "forever"):
        delete_with_config_and_models(fake_platform(sagemaker), name)
    assert sagemaker.names("endpoint") == ["foreign", "their-own"]
    assert sagemaker.names("endpoint_config") == ["old-config", "forever-config", "their-config"]
    assert sagemaker.names("model") == ["old-model", "new-model", "forever-model", "their-model"]


def test_deleting_twice_and_without_config_is_no_error(sagemaker):
    sagemaker.delete_endpoint_config(EndpointConfigName="old-config")
    delete_with_config_and_models(fake_platform(sagemaker), "old")
    delete_with_config_and_models(fake_platform(sagemaker), "old")
    assert "old" not in sagemaker.names("endpoint")


def test_throttling_leaves_the_endpoint_to_be_found_again(sagemaker):
    sagemaker.faults["describe_endpoint_config"].append(throttled())
    with pytest.raises(ClientError, match="Rate exceeded"):
        delete_with_config_and_models(fake_platform(sagemaker), "old")
    delete_with_config_and_models(fake_platform(sagemaker), "old")
    assert "old-model" not in sagemaker.names("model")


def test_a_throttled_delete_is_asked_again(sagemaker):
    sagemaker.faults["delete_endpoint"].append(throttled())
    delete_with_config_and_models(fake_platform(sagemaker), "old")
    assert "old" not in sagemaker.names("endpoint")
    assert "old-model" not in sagemaker.names("model")


def test_a_cancelled_run_leaves_no_endpoint_either(whippet_home):
    fake = FakeSageMaker()
    settings = Settings()
    run = open_run(settings, "id-1", "demo", {}, resume=False)
    job = training_job_request(resource_name(run, "train"), {}, inputs(), TrainingParameters())
    fake.create_training_job(**job)
    endpoint = resource_name(run, "endpoint")
    deploy(fake, endpoint, None)
    deploy(fake, "another", None)
    found = fake_platform(fake, home=settings.home)
    # Who never deployed is not asked for endpoints: that may not even be allowed.
    assert stop_everything(found, run) == [resource_name(run, "train")]
    assert "describe_endpoint" not in [operation for operation, _ in fake.calls]
    record(settings, run, RunFacts(jobs={"endpoint": endpoint}))
    assert stop_everything(found, run) == [endpoint]
    assert fake.names("endpoint") == ["another"]
    assert fake.names("endpoint_config") == ["another-config"]
    assert fake.names("model") == ["another-model"]
    assert stop_everything(found, run) == []


def test_a_cancel_finishes_what_a_killed_one_began(whippet_home):
    fake = FakeSageMaker()
    run = open_run(Settings(), "id-1", "demo", {}, resume=False)
    endpoint, config = resource_name(run, "endpoint"), resource_name(run, "config")
    model = resource_name(run, "model")
    deploy(fake, endpoint, None)
    for kind, before, after in (
        ("endpoint_config", f"{endpoint}-config", config),
        ("model", f"{endpoint}-model", model),
    ):
        fake.resources[kind, after] = fake.resources.pop((kind, before))
    record(Settings(), run, RunFacts(jobs={"endpoint": endpoint}))
    fake.delete_endpoint(EndpointName=endpoint)  # and killed
    assert stop_everything(fake_platform(fake, home=Settings().home), run) == []
    assert fake.names("endpoint_config") == fake.names("model") == []
