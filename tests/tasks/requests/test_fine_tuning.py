"""Fine-tuning after the head: what the job is told, and when its model is kept."""

import pytest

from platforms.errors import ParameterError
from tasks.parameters.run import ModelParameters, TrainingParameters
from tasks.report.fine_tuning import fine_tuning_markdown
from tasks.requests.fine_tuning import (
    better_model,
    fine_tuning_hyperparameters,
    is_fine_tuning,
    judge_fine_tuning,
    require_head_to_start_from,
)
from tasks.runs.names import JOB_STEPS, RunIdentity, resource_name, step_of
from tasks.runs.record_parts import Difference, Gain, TrainedModel
from tests.worlds.run_records import run_record

RUN = RunIdentity(name="r", token="abcdef", flow_run_id="1")


def model(job, **metrics):
    return TrainedModel(
        job=job,
        model_data_uri=f"s3://b/{job}/output/model.tar.gz",
        output_uri="",
        test_uri="",
        metrics={f"valid:{name}": value for name, value in metrics.items()},
        billable_seconds=1,
    )


def job(status, *, loss=0.0, accuracy=0.0, **more):
    metrics = {"valid:loss": loss, "valid:accuracy": accuracy}
    return {
        "TrainingJobName": "r-finetune",
        "TrainingJobStatus": status,
        "OutputDataConfig": {"S3OutputPath": "s3://b/jobs"},
        "ModelArtifacts": {"S3ModelArtifacts": "s3://b/m.tar.gz"},
        "FinalMetricDataList": [{"MetricName": n, "Value": v} for n, v in metrics.items()],
        **more,
    }


HEAD = model("r-train", loss=0.5, accuracy=0.8)


@pytest.mark.parametrize(
    ("loss", "accuracy", "kept"),
    [(0.4, 0.9, True), (0.4, 0.8, True), (0.4, 0.79, False), (0.5, 0.9, False), (0.6, 0.9, False)],
)
def test_all_layers_are_kept_only_for_a_gain(loss, accuracy, kept):
    found = judge_fine_tuning(HEAD, "r-finetune", model("r-finetune", loss=loss, accuracy=accuracy))
    assert found.kept is kept
    assert f"went from 0.5000 to {loss:.4f}, the accuracy went from 80.0% to" in found.sentence
    assert found.sentence.endswith(
        "the new model is kept." if kept else "the model of the head is kept."
    )
    told = fine_tuning_markdown(found)
    assert found.sentence in told
    assert f"| valid:loss | 0.5000 | {loss:.4f} | {loss - 0.5:+.4f} |" in told


def test_what_was_not_measured_or_made_is_not_kept():
    unmeasured = judge_fine_tuning(HEAD, "r-finetune", model("r-finetune"))
    assert not unmeasured.kept
    failed = judge_fine_tuning(HEAD, "r-finetune", None, "it ran out of memory.")
    assert (failed.kept, failed.after) == (False, {})
    assert failed.sentence.endswith("so the head's is kept: it ran out of memory.")


@pytest.mark.parametrize(
    ("loss", "accuracy", "doubt"),
    [
        ((-0.1, 0.02), (0.1, 0.04), " (one standard error)."),
        ((-0.1, 0.08), (0.1, 0.04), ": that of the loss may be chance."),
        ((-0.1, 0.08), (0.0, 0.04), ": that of the loss and the accuracy may be chance."),
    ],
)
def test_a_gain_is_told_with_how_sure_it_is(loss, accuracy, doubt):
    changes = [Difference(change=change, error=error) for change, error in (loss, accuracy)]
    gain = Gain(pictures=117, loss=changes[0], accuracy=changes[1])
    asked = []

    def measured(tuned):
        asked.append(tuned.job)
        return gain

    found, kept = better_model(HEAD, job("Completed", loss=0.4, accuracy=0.9), measured)
    assert (found.kept, kept.job, asked) == (True, "r-finetune", ["r-finetune"])
    assert found.sentence.endswith(
        "On the same 117 validation pictures the loss changed by -0.1000 ± "
        f"{loss[1]:.4f} and the accuracy by {100 * accuracy[0]:+.1f} ± 4.0 points"
        f" (one standard error){doubt.removeprefix(' (one standard error)')}"
    )
    told = fine_tuning_markdown(found)
    assert f"| valid:loss | 0.5000 | 0.4000 | -0.1000 ± {loss[1]:.4f} |" in told
    assert f"| valid:accuracy | 0.8000 | 0.9000 | {accuracy[0]:+.4f} ± 0.0400 |" in told
    record = run_record(fine_tuning=found.model_dump(mode="json"))
    assert record.fine_tuning == found


def test_a_job_that_failed_is_not_asked_for_a_gain():
    found, kept = better_model(HEAD, job("Failed", FailureReason="no memory"), pytest.fail)
    assert (found.gain, kept) == (None, HEAD)
    assert "gain" not in found.model_dump(), "older records stay as they are"
    unpaired, _ = better_model(HEAD, job("Completed", loss=0.4, accuracy=0.9), lambda _: None)
    assert unpaired.sentence.endswith("the new model is kept.")


def test_the_job_learns_everything_slowly_from_the_head():
    head = {
        "model": "resnet18",
        "trainable": "head",
        "weights": "channel",
        "lr": 0.01,
        "backbone_lr": 0.5,
        "cache_features": "true",
        "epochs": 8,
        "instrumentation": "on",
    }
    values = fine_tuning_hyperparameters(head)
    assert values == {
        "model": "resnet18",
        "trainable": "all",
        "weights": "channel",
        "lr": pytest.approx(0.001),
        "cache_features": "auto",
        "epochs": 8,
        "instrumentation": "on",
    }
    assert fine_tuning_hyperparameters({})["lr"] == pytest.approx(1e-4)


def test_there_must_be_a_head_to_start_from():
    asked = TrainingParameters(fine_tune=True)
    require_head_to_start_from(ModelParameters(), asked)
    require_head_to_start_from(ModelParameters(weights="none"), TrainingParameters())
    forced = TrainingParameters(fine_tune=True, hyperparameters={"trainable": "head"})
    require_head_to_start_from(ModelParameters(weights="none"), forced)
    for network in (ModelParameters(weights="none"), ModelParameters(trainable="all")):
        with pytest.raises(ParameterError, match="--fine-tune trains all layers after the head"):
            require_head_to_start_from(network, asked)


def test_its_name_tells_the_step():
    name = resource_name(RUN, "finetune", 2)
    assert name == "r-abcdef-finetune-2"
    assert step_of(RUN, name) == "finetune"
    assert "finetune" in JOB_STEPS
    assert is_fine_tuning({"TrainingJobName": name})
    assert not is_fine_tuning({"TrainingJobName": resource_name(RUN, "train")})
    long = RunIdentity(name="a-name-that-is-far-too-long", token="abcdef", flow_run_id="1")
    assert resource_name(long, "finetune").startswith(long.prefix)
