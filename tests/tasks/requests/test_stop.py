"""Only the run's own jobs are stopped, and all of them."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from platforms.client_errors import client_error
from tasks.parameters.run import TrainingParameters
from tasks.parameters.run import TuningParameters as Tuning
from tasks.requests.bodies import (
    training_job_request,
    tuning_job_request,
)
from tasks.requests.stop import stop_run
from tasks.runs.names import RunIdentity, resource_name
from tests.worlds.fake_sagemaker import FakeSageMaker, throttled
from tests.worlds.packed_search import packed_request
from tests.worlds.platforms import fake_platform
from tests.worlds.requests import inputs

RUN = RunIdentity(name="demo", token="abc123", flow_run_id="id-1")


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


def test_a_packed_search_is_stopped_as_the_training_job_that_it_is():
    fake = FakeSageMaker()
    fake.create_training_job(**packed_request(RUN))
    assert stop_run(fake_platform(fake), RUN, ["train"]) == [], "it is the search of the run"
    assert stop_run(fake_platform(fake), RUN, ["tune"]) == ["demo-abc123-tune"]
    job = fake.resources["training_job", "demo-abc123-tune"]
    assert job["TrainingJobStatus"] == "Stopping"


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
