"""The request of a packed search: what SageMaker takes, and what the job finds in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from platforms.sagemaker_requests import TrainingRequest
from platforms.validation import validate
from sm_entrypoints import contract
from sm_entrypoints.contract.search import SearchPlan
from sm_entrypoints.contract.wire import from_wire
from tasks.costs.worst_case import most_jobs, wanted_instances
from tasks.parameters.run import (
    ModelParameters,
    ResourceParameters,
    TrainingParameters,
    TuningParameters,
)
from tasks.requests.bodies import is_packed_search, training_job_request
from tasks.requests.packed_search import packed_search_requests, search_of_trial
from tasks.requests.tags import DIGEST_TAG
from tasks.runs.names import RunIdentity, step_of
from tests.worlds.packed_search import packed_request
from tests.worlds.platforms import fake_platform
from tests.worlds.requests import inputs, training_inputs

ROOT = Path(__file__).parents[3]
RUN = RunIdentity(name="démo", token="abc123", flow_run_id="id-1")


def body(**tuning: Any) -> TrainingRequest:
    return packed_request(RUN, seed=3, **tuning)


def request_of(attempt: int, *, spot: bool) -> TrainingRequest:
    requests = packed_search_requests(
        fake_platform(),
        RUN,
        inputs=training_inputs(),
        model=ModelParameters(),
        tuning=TuningParameters(strategy="packed"),
        resources=ResourceParameters(spot=spot),
    )
    return requests(attempt)


@pytest.mark.parametrize("spot", [False, True])
def test_the_service_would_take_it(spot):
    request = request_of(1, spot=spot)
    validate("CreateTrainingJob", request)
    assert request["TrainingJobName"] == "demo-abc123-tune"
    assert request_of(2, spot=spot)["TrainingJobName"] == "demo-abc123-tune-2"
    assert step_of(RUN, request["TrainingJobName"]) == "tune", "it is stopped and counted as one"
    assert request.get("EnableManagedSpotTraining", False) == spot
    assert wanted_instances([request]) == [("ml.m5.xlarge", "training")]
    assert most_jobs(request) == 1, "whatever its trials, one job is paid for"


def test_the_job_runs_the_search_program_with_the_fixed_values_and_the_plan():
    values = body()["HyperParameters"]
    assert (ROOT / values["sagemaker_program"]).name == "search.py"
    plan = SearchPlan.from_json(values["search"])
    assert (plan.trials, plan.seed, plan.max_epochs) == (64, 3, 4)
    assert set(plan.ranges) == {"lr", "batch_size", "weight_decay"}
    fixed = from_wire({name: text for name, text in values.items() if name != "search"})
    assert fixed == {
        "model": "resnet18",
        "trainable": "head",
        "image_size": 224,
        "weights": "channel",
        "seed": 3,
        "epochs": 4,
    }
    channels = [each["ChannelName"] for each in body()["InputDataConfig"]]
    assert channels == [*contract.SPLITS, contract.WEIGHTS_CHANNEL]


def test_features_are_brought_and_kept_where_those_of_the_data_set_lie():
    uri = "s3://bucket/whippet/features/clipart/"
    requests = packed_search_requests(
        fake_platform(),
        RUN,
        inputs=training_inputs().model_copy(update={"features_uri": uri}),
        model=ModelParameters(),
        tuning=TuningParameters(strategy="packed"),
        resources=ResourceParameters(),
    )
    assert requests(1)["CheckpointConfig"] == {"S3Uri": uri}
    channels = [each["ChannelName"] for each in requests(1)["InputDataConfig"]]
    assert contract.FEATURES_CHANNEL not in channels, "restored once, not twice"
    validate("CreateTrainingJob", requests(1))


def test_a_later_attempt_takes_over_the_trials_of_those_before_it():
    first, later = (
        SearchPlan.from_json(request_of(attempt, spot=False)["HyperParameters"]["search"])
        for attempt in (1, 3)
    )
    assert first.continues == ()
    assert later == replace(first, continues=("demo-abc123-tune",))
    assert request_of(3, spot=False)["TrainingJobName"] == "demo-abc123-tune-3"


def test_its_progress_is_read_from_its_log():
    definitions = body()["AlgorithmSpecification"]["MetricDefinitions"]
    names = {each["Name"] for each in definitions}
    assert names >= {contract.OBJECTIVE_METRIC, *contract.SEARCH_METRICS}
    assert len(definitions) <= 40, "SageMaker reads no more metrics"


def test_another_search_is_another_request():
    def digest(request: TrainingRequest) -> str:
        return next(tag["Value"] for tag in request["Tags"] if tag["Key"] == DIGEST_TAG)

    assert digest(body()) == digest(body())
    assert digest(body()) != digest(body(max_jobs=65))


def test_only_a_packed_search_is_told_to_be_one():
    assert is_packed_search(body())
    training = training_job_request("x", {"lr": 0.1}, inputs(), TrainingParameters())
    assert not is_packed_search(training)
    assert not is_packed_search({"TrainingJobName": "of a stranger"})


def test_the_name_of_a_trial_leads_to_its_search():
    platform = fake_platform()
    platform.sagemaker.create_training_job(**packed_request(RUN))
    other = training_job_request("demo-abc123-train", {}, inputs(), TrainingParameters())
    platform.sagemaker.create_training_job(**other)
    search = "demo-abc123-tune"
    assert search_of_trial(platform, f"{search}-017-0a1b2c3d") == search
    assert search_of_trial(platform, "demo-abc123-train-017-0a1b2c3d") is None
    assert search_of_trial(platform, "unknown-017-0a1b2c3d") is None
    assert search_of_trial(platform, search) is None
