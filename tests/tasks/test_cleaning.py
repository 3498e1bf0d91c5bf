from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from platforms import Settings
from platforms.client_errors import client_error
from tasks.costs.stop_billing import delete_with_config_and_models, stop_everything
from tasks.endpoints.inventory import list_endpoints, meant_by
from tasks.parameters.run import CleanUpParameters, TrainingParameters
from tasks.parameters.run import TuningParameters as Tuning
from tasks.requests.bodies import (
    training_job_request,
    tuning_job_request,
)
from tasks.requests.stop import stop_run
from tasks.runs.names import RunIdentity, resource_name
from tasks.runs.record import open_run, record
from tasks.runs.record_model import RunFacts
from tests.fake_sagemaker import FakeSageMaker, throttled
from tests.worlds.platforms import deploy, fake_platform
from tests.worlds.requests import ROLE, inputs

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
RUN = RunIdentity(name="demo", token="abc123", flow_run_id="id-1")


@pytest.fixture
def sagemaker() -> FakeSageMaker:
    fake = FakeSageMaker()
    deploy(fake, "old", NOW - timedelta(hours=1))
    deploy(fake, "new", NOW + timedelta(hours=1))
    deploy(fake, "forever", None)
    fake.create_endpoint(EndpointName="foreign", EndpointConfigName="theirs")
    return fake


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, ["old"]),
        ({"all": True}, ["old", "new", "forever"]),
        ({"endpoint": "new"}, ["new"]),
        ({"endpoint": "new", "all": True}, ["new"]),
        ({"endpoint": "foreign"}, []),
        ({"endpoint": "nothing"}, []),
    ],
)
def test_what_is_removed(sagemaker, parameters, expected):
    states = list_endpoints(fake_platform(sagemaker))
    assert {state.name for state in states} == {"old", "new", "forever"}
    chosen = meant_by(CleanUpParameters(**parameters), states, NOW)
    assert [state.name for state in chosen] == expected


def test_time_to_live_ends_at_its_second(sagemaker):
    (old,) = [state for state in list_endpoints(fake_platform(sagemaker)) if state.name == "old"]
    assert old.expires == NOW - timedelta(hours=1)
    assert old.expired(NOW - timedelta(hours=1))
    assert not old.expired(NOW - timedelta(hours=1, seconds=1))


def test_every_page_is_read():
    fake = FakeSageMaker(page_size=2)
    for number in range(7):
        deploy(fake, f"e{number}", None)
    assert len(list_endpoints(fake_platform(fake))) == 7


def test_an_endpoint_deleted_while_it_is_listed_is_left_out(sagemaker):
    gone = client_error("ListTags", "ValidationException", "Could not find endpoint")
    sagemaker.faults["list_tags"].append(gone)
    assert {state.name for state in list_endpoints(fake_platform(sagemaker))} == {
        "new",
        "forever",
    }


def test_throttling_does_not_hide_an_endpoint_that_bills(sagemaker):
    sagemaker.faults["list_tags"].append(throttled())
    with pytest.raises(ClientError, match="Rate exceeded"):
        list_endpoints(fake_platform(sagemaker))


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


@pytest.mark.parametrize("operation", ["describe_endpoint_config", "delete_endpoint"])
def test_throttling_leaves_the_endpoint_to_be_found_again(sagemaker, operation):
    sagemaker.faults[operation].append(throttled())
    with pytest.raises(ClientError, match="Rate exceeded"):
        delete_with_config_and_models(fake_platform(sagemaker), "old")
    delete_with_config_and_models(fake_platform(sagemaker), "old")
    assert "old-model" not in sagemaker.names("model")


def train(sagemaker: FakeSageMaker, name: str) -> None:
    sagemaker.create_training_job(**training_job_request(name, {}, inputs(), TrainingParameters()))


def tune(sagemaker: FakeSageMaker, name: str) -> None:
    body = tuning_job_request(name, Tuning().search_ranges(), {}, inputs(), Tuning())
    sagemaker.create_hyper_parameter_tuning_job(**body)


def test_only_the_runs_own_jobs_in_progress_are_stopped():
    fake = FakeSageMaker(page_size=1)
    tune(fake, resource_name(RUN, "tune"))
    tune(fake, resource_name(RUN, "tune", 2))
    fake.resources["hyper_parameter_tuning_job", "demo-abc123-tune"][
        "HyperParameterTuningJobStatus"
    ] = "Failed"
    train(fake, resource_name(RUN, "train"))
    train(fake, "demo-abc123-tune-001-0a1b2c3d")  # a trial: its tuning job stops it
    train(fake, "other-demo-abc123-train")
    train(fake, "demo-abc124-train")
    train(fake, "demo-abc123-train-of-somebody")
    assert stop_run(fake_platform(fake), RUN) == [
        "demo-abc123-tune-2",
        "demo-abc123-train",
    ]
    statuses = {
        name: job["TrainingJobStatus"]
        for (kind, name), job in fake.resources.items()
        if kind == "training_job"
    }
    assert [name for name, status in statuses.items() if status == "Stopping"] == [
        "demo-abc123-train"
    ]
    assert stop_run(fake_platform(fake), RUN) == []


def test_a_job_that_ends_meanwhile_does_not_keep_the_others_running():
    fake = FakeSageMaker()
    tune(fake, resource_name(RUN, "tune"))
    train(fake, resource_name(RUN, "train"))
    late = client_error("Stop", "ValidationException", "the job is in status Completed")
    fake.faults["stop_hyper_parameter_tuning_job"].append(late)
    assert stop_run(fake_platform(fake), RUN) == ["demo-abc123-train"]


def test_an_error_that_is_not_about_the_status_goes_on():
    fake = FakeSageMaker()
    train(fake, resource_name(RUN, "train"))
    fake.faults["stop_training_job"].append(throttled())
    with pytest.raises(ClientError, match="Rate exceeded"):
        stop_run(fake_platform(fake), RUN)


def test_a_cancelled_run_leaves_no_endpoint_either(whippet_home):
    fake = FakeSageMaker()
    settings = Settings()
    run = open_run(settings, "id-1", "demo", {}, resume=False)
    train(fake, resource_name(run, "train"))
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
