"""Other people's clients, unmodified, against `whippet api`: SDK v2, SDK v3, the AWS CLI."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.sdk.conftest import USER_CODE, Api, Inputs, program
from tests.sdk.jobs import train, upload_code
from tests.worlds.served_api import BUCKET, ROLE

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
    submitted = upload_code(api)
    train(api, "by-the-cli", submitted, inputs.data)
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
    submitted = upload_code(api)
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
