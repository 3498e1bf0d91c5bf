"""Other people's clients, unmodified, against `whippet api`: SDK v2, SDK v3, the AWS CLI."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from platforms.archives import write_archive
from tests.platforms.local.served import client
from tests.sdk.conftest import USER_CODE, Api, Inputs, program
from tests.sdk.world import BUCKET, ROLE

pytestmark = [pytest.mark.slow, pytest.mark.job]

ANSWER = {"label": "green", "by": "the user's own handlers"}


Show = Callable[[str, str], None]


def test_sdk_v2_trains_tunes_and_deploys(api: Api, inputs: Inputs, show: Show) -> None:
    found = api.client(
        ".venv-sdk2",
        "train_v2.py",
        *(str(USER_CODE), inputs.data, BUCKET, ROLE, str(inputs.picture)),
    )
    training = found["training"]
    assert training["status"] == "Completed"
    assert 0 < training["metrics"]["valid_loss"] < 5
    assert training["model_data"].endswith(f"/{training['name']}/output/model.tar.gz")
    assert training["again"] == 2 or training["again"] == "2"
    log = (api.home / "whippet" / "training-jobs" / training["name"] / "log.txt").read_text("utf-8")
    (line,) = [line for line in log.splitlines() if line.startswith("arguments ")]
    seen = json.loads(line.removeprefix("arguments "))
    assert (seen["epochs"], seen["optimizer"]) == (2, "ad am")
    tuning = found["tuning"]
    assert tuning["status"] == "Completed"
    assert len(tuning["biases"]) == tuning["rows"] == 2
    assert tuning["best"] == min(tuning["biases"], key=lambda n: float(tuning["biases"][n]))
    assert found["prediction"] == ANSWER
    assert found["left"] == []
    show("SDK v2: PyTorch, HyperparameterTuner, PyTorchModel", json.dumps(found, indent=1))


def test_the_cli_lists_and_describes(api: Api, inputs: Inputs, show: Show) -> None:
    aws = program(".venv-sdk2", "aws")
    submitted = _upload_code(api)
    _train(api, "by-the-cli", submitted, inputs.data)
    answer = api.run([aws, "sagemaker", "list-training-jobs", "--output", "json"])
    show("aws sagemaker list-training-jobs", answer)
    listed = json.loads(answer)
    assert "by-the-cli" in [job["TrainingJobName"] for job in listed["TrainingJobSummaries"]]
    waited = [aws, "sagemaker", "wait", "training-job-completed-or-stopped"]
    api.run([*waited, "--training-job-name", "by-the-cli"])
    described = [aws, "sagemaker", "describe-training-job", "--training-job-name", "by-the-cli"]
    status = api.run([*described, "--query", "TrainingJobStatus", "--output", "text"])
    assert status.strip() == "Completed"
    log = ["--log-group-name", "/aws/sagemaker/TrainingJobs"]
    log += ["--log-stream-name", "by-the-cli/algo-1"]
    shown = api.run([aws, "logs", "get-log-events", *log])
    assert "valid_loss=" in shown


def test_sdk_v3_creates_gets_lists_and_invokes(api: Api, inputs: Inputs, show: Show) -> None:
    submitted = _upload_code(api)
    found = api.client(
        ".venv-sdk3",
        "resources_v3.py",
        *(submitted, inputs.data, BUCKET, ROLE, str(inputs.picture)),
    )
    assert found["status"] == "Completed"
    assert found["listed"] == ["by-v3"]
    assert found["prediction"] == ANSWER
    assert found["endpoints"] == ["by-v3"]
    show("SDK v3: sagemaker.core.resources", json.dumps(found, indent=1))


def _upload_code(api: Api) -> str:
    archive = api.home / "sourcedir.tar.gz"
    write_archive(USER_CODE, archive)
    client("s3", api.s3).upload_file(str(archive), BUCKET, "code/sourcedir.tar.gz")
    return f"s3://{BUCKET}/code/sourcedir.tar.gz"


def _train(api: Api, name: str, submitted: str, data: str) -> None:
    source = {"S3DataType": "S3Prefix", "S3Uri": data}
    client("sagemaker", api.url).create_training_job(
        TrainingJobName=name,
        RoleArn=ROLE,
        AlgorithmSpecification={"TrainingImage": "x", "TrainingInputMode": "File"},
        HyperParameters={
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": json.dumps(submitted),
            "sagemaker_container_log_level": "20",
            "sagemaker_job_name": json.dumps(name),
            "sagemaker_region": '"eu-west-1"',
        },
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
        ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 300},
    )
