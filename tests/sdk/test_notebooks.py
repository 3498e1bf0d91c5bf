"""What public notebooks do with SDK v2, cell by cell, over `whippet api`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sdk.conftest import Api, Inputs
from tests.worlds.served_api import BUCKET, NOTEBOOKS, ROLE

pytestmark = [pytest.mark.slow, pytest.mark.job]


def test_dog_breeds(
    api: Api, inputs: Inputs, pictures: Path, show: Callable[[str, str], None]
) -> None:
    """Tune, attach, train, curves, deploy, predict by bytes, deploy the best, delete."""
    found = api.client(
        ".venv-sdk2",
        "v2_dog_breeds.py",
        *(str(NOTEBOOKS), str(pictures), BUCKET, ROLE, str(inputs.picture)),
    )
    show("SDK v2: a course project on dog breeds", json.dumps(found, indent=1))
    assert found["inputs"] == f"s3://{BUCKET}/sagemaker/dogImages"
    assert found["uploaded"] == 6
    tuning, analytics = found["tuning"], found["analytics"]
    assert tuning["objective"] == ["average test loss", "Minimize", 2]
    assert (tuning["status"], tuning["class"], tuning["reserved"]) == (
        "Completed",
        "PyTorch",
        False,
    )
    assert tuning["ranges"] == ["batch-size", "lr"]
    assert 0.001 <= float(tuning["hyperparameters"]["lr"]) <= 0.1
    assert analytics["rows"] == [2, 2]
    assert analytics["best"] == tuning["best"]
    assert {"FinalObjectiveValue", "TrainingElapsedTimeSeconds"} <= set(analytics["columns"])
    training = found["training"]
    names = ["average test loss", "train loss"]
    assert training["listed"] == sorted(training["metrics"]) == names
    curves = {each["metric_name"]: each["value"] for each in training["curves"]}
    assert curves["average test loss"] == pytest.approx(training["metrics"]["average test loss"])
    assert training["fine"] >= 1
    by_name, by_bytes, by_json, by_runtime = found["predictions"]
    assert by_name == json.loads(by_bytes) == by_runtime
    assert len(by_name[0]) == len(by_json[0]) == len(found["of the best"][0]) == 3
    assert found["content_type"] == "application/json"
    assert found["left"] == []
