"""Which earlier searches a new one may learn from."""

from __future__ import annotations

from typing import Any

import pytest

from platforms.errors import ParameterError
from tasks.parameters.run import TrainingParameters, TuningParameters
from tasks.requests.bodies import training_job_request
from tasks.requests.parents import parents_uri, require_parents
from tasks.runs.names import RunIdentity
from tests.worlds.packed_search import packed_request
from tests.worlds.platforms import fake_platform
from tests.worlds.requests import inputs, whippet_request

RUN = RunIdentity(name="new", token="abc123", flow_run_id="id-1")
PACKED = RunIdentity(name="packed", token="abc123", flow_run_id="id-2")


@pytest.fixture
def platform() -> Any:
    """A finished search of either kind, and one job that is none."""
    found = fake_platform()
    sagemaker = found.sagemaker
    sagemaker.create_training_job(**packed_request(PACKED))
    sagemaker.create_hyper_parameter_tuning_job(**whippet_request())
    request = training_job_request("a-training", {}, inputs(), TrainingParameters())
    sagemaker.create_training_job(**request)
    for (_, _), each in sagemaker.resources.items():
        for member in ("TrainingJobStatus", "HyperParameterTuningJobStatus"):
            if member in each:
                each[member] = "Completed"
    return found


def learning_from(*names: str, strategy: str = "packed") -> TuningParameters:
    return TuningParameters(strategy=strategy, warm_start_from=list(names))


def test_a_packed_search_learns_from_searches_of_both_kinds(platform):
    require_parents(platform, learning_from("packed-abc123-tune", "demo-tune"))
    require_parents(platform, learning_from("demo-tune", strategy="Bayesian"))
    with pytest.raises(ParameterError, match=r"'packed-abc123-tune' is a packed search.*packed'"):
        require_parents(platform, learning_from("packed-abc123-tune", strategy="Bayesian"))


def test_what_is_no_finished_search_is_named(platform):
    with pytest.raises(ParameterError, match="'nowhere' is not there as a search to learn from"):
        require_parents(platform, learning_from("nowhere"))
    with pytest.raises(ParameterError, match="'a-training' is a training job, not a search"):
        require_parents(platform, learning_from("a-training"))
    going_on = platform.sagemaker.resources["hyper_parameter_tuning_job", "demo-tune"]
    going_on["HyperParameterTuningJobStatus"] = "InProgress"
    with pytest.raises(ParameterError, match="'demo-tune' is InProgress"):
        require_parents(platform, learning_from("demo-tune", strategy="Random"))


def test_their_tables_are_a_channel_of_the_job():
    def channels(**tuning: Any) -> dict[str, str]:
        found = packed_request(RUN, platform, **tuning)["InputDataConfig"]
        return {each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"] for each in found}

    platform = fake_platform()
    assert "parents" not in channels()
    uri = parents_uri(platform, RUN)
    assert channels(warm_start_from=["demo-tune"])["parents"] == uri
    assert uri == "s3://bucket/whippet/parents/new-abc123/"
