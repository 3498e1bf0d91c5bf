from __future__ import annotations

from types import SimpleNamespace

import pytest

from platforms import Defaults, Settings
from platforms.errors import JobFailed
from sm_entrypoints import contract
from tasks.parameters.ranges import require_known
from tasks.parameters.run import ModelParameters, ResourceParameters, TrainingParameters
from tasks.requests.bodies import training_job_request
from tasks.requests.fine_tuning import better_model
from tasks.requests.training import (
    base_hyperparameters,
    final_hyperparameters,
    job_inputs,
    require_completed,
    trained_model,
)
from tasks.runs.names import RunIdentity
from tests.worlds.requests import training_inputs

RUN = RunIdentity(name="demo", token="abc123", flow_run_id="id-1")
PLATFORM = SimpleNamespace(
    settings=Settings(),
    defaults=Defaults(
        bucket="bucket",
        role_arn="arn:aws:iam::1:role/r",
        training_image="i",
        inference_image="s",
        poll_seconds=1.0,
    ),
)


@pytest.mark.parametrize("weights_uri", [None, "s3://bucket/w.safetensors"])
def test_base_hyperparameters_are_ones_that_train_py_has(weights_uri):
    model = ModelParameters(weights="imagenet" if weights_uri else "none")
    found = base_hyperparameters(model, training_inputs(weights_uri))
    require_known(found)
    assert found["weights"] == ("channel" if weights_uri else "none")
    assert found["trainable"] == ("head" if weights_uri else "all")


def test_the_users_own_values_win_over_the_best_which_win_over_the_base():
    found = final_hyperparameters(
        ModelParameters(image_size=64),
        training_inputs(),
        TrainingParameters(epochs=9, hyperparameters={"lr": 0.5}),
        {"lr": 0.1, "epochs": 3, "batch_size": 16, "image_size": 96},
    )
    require_known(found)
    assert found["lr"] == 0.5
    assert found["epochs"] == 9
    assert found["batch_size"] == 16
    assert found["image_size"] == 96
    assert found["instrumentation"] == "on"


def test_actions_of_rules_become_one_hyperparameter():
    training = TrainingParameters(rules={"Overtraining": "off", "ExplodingTensor": "stop"})
    found = final_hyperparameters(ModelParameters(), training_inputs(), training, {})
    assert found["rules"] == "ExplodingTensor=stop,Overtraining=off"
    require_known(found)
    plain = final_hyperparameters(ModelParameters(), training_inputs(), TrainingParameters(), {})
    assert "rules" not in plain


def test_instrumentation_can_be_switched_off_by_the_user():
    training = TrainingParameters(hyperparameters={"instrumentation": "off"})
    found = final_hyperparameters(ModelParameters(), training_inputs(), training, {})
    assert found["instrumentation"] == "off"


def test_checkpoints_belong_to_the_run_so_that_its_next_attempt_goes_on():
    resources = ResourceParameters()
    job = job_inputs(PLATFORM, RUN, training_inputs(), resources, checkpoints=RUN.prefix)
    assert job.checkpoint_uri == "s3://bucket/whippet/checkpoints/demo-abc123"
    assert job.output_uri == "s3://bucket/whippet/jobs"
    trials = job_inputs(PLATFORM, RUN, training_inputs(), resources, checkpoints=None)
    assert trials.checkpoint_uri is None


def test_features_are_a_channel_that_any_start_of_the_job_has():
    """Or a resumed run would find its own job with another request."""
    given = training_inputs().model_copy(update={"features_uri": "s3://bucket/whippet/features/p/"})

    def request(inputs):
        job = job_inputs(PLATFORM, RUN, inputs, ResourceParameters(), checkpoints=RUN.prefix)
        return training_job_request("demo-abc123-train", {}, job, TrainingParameters())

    channels = {each["ChannelName"]: each for each in request(given)["InputDataConfig"]}
    features = channels[contract.FEATURES_CHANNEL]
    assert features["DataSource"]["S3DataSource"]["S3Uri"] == given.features_uri
    assert features["InputMode"] == "File"
    assert request(given) == request(given)
    assert contract.FEATURES_CHANNEL not in {
        each["ChannelName"] for each in request(training_inputs())["InputDataConfig"]
    }


def described(**changes):
    job = job_inputs(PLATFORM, RUN, training_inputs(), ResourceParameters(), checkpoints=RUN.prefix)
    body = training_job_request("demo-abc123-train", {}, job, TrainingParameters())
    answer = {
        "TrainingJobStatus": "Completed",
        "ModelArtifacts": {"S3ModelArtifacts": "s3://bucket/m/output/model.tar.gz"},
        "BillableTimeInSeconds": 61,
        "FinalMetricDataList": [{"MetricName": "test:accuracy", "Value": 0.75}],
    }
    return {**body, **answer, **changes}


def test_what_a_finished_job_left_behind():
    found = trained_model(described())
    assert found.job == "demo-abc123-train"
    assert found.model_data_uri == "s3://bucket/m/output/model.tar.gz"
    assert found.output_uri == "s3://bucket/whippet/jobs/demo-abc123-train/output/output.tar.gz"
    assert found.test_uri == f"s3://bucket/whippet/datasets/clipart/{contract.TEST_CHANNEL}"
    assert found.metrics == {"test:accuracy": 0.75}
    assert found.billable_seconds == 61


def measured(loss):
    metrics = {"valid:loss": loss, "valid:accuracy": 0.5}
    return [{"MetricName": name, "Value": value} for name, value in metrics.items()]


def test_a_run_goes_on_with_the_better_model():
    head = trained_model(described(FinalMetricDataList=measured(0.5)))
    job = {"TrainingJobName": "demo-abc123-finetune"}
    found, model = better_model(head, described(**job, FinalMetricDataList=measured(0.4)))
    assert (found.kept, model.job) == (True, "demo-abc123-finetune")
    found, model = better_model(head, described(**job, FinalMetricDataList=measured(0.6)))
    assert (found.kept, model) == (False, head)


def test_a_fine_tuning_that_fails_leaves_the_run_its_head():
    head = trained_model(described(FinalMetricDataList=measured(0.5)))
    failed = {"TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: out of memory"}
    found, model = better_model(head, described(TrainingJobName="demo-abc123-finetune", **failed))
    assert (found.kept, found.all_layers, model) == (False, "demo-abc123-finetune", head)
    assert "out of memory. See its log with `whippet logs demo-abc123-finetune`." in found.sentence


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"TrainingJobStatus": "Failed", "FailureReason": "AlgorithmError: out of memory"},
            r"training job 'demo-abc123-train' ended Failed: AlgorithmError: out of memory\. "
            r"See its log with `whippet logs demo-abc123-train`",
        ),
        (
            {"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded"},
            "ended Stopped: MaxRuntimeExceeded",
        ),
        ({"TrainingJobStatus": "Stopped"}, "ended Stopped: no reason given"),
    ],
)
def test_a_job_that_did_not_complete_says_why_and_where_to_look(changes, message):
    with pytest.raises(JobFailed, match=message):
        require_completed(described(**changes))
    require_completed(described())
