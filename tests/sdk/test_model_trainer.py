"""`ModelTrainer` of SDK v2 and SDK v3: jobs that bring their own command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.sdk.conftest import Api, Inputs
from tests.worlds.served_api import BUCKET, NOTEBOOKS, ROLE

pytestmark = [pytest.mark.slow, pytest.mark.job]

Show = Callable[[str, str], None]


@pytest.fixture(scope="module")
def home_name() -> str:
    """A path for shells: without a boundary the SDKs' scripts are pointed to it."""
    return "home"


def test_model_trainer_of_v2(api: Api, inputs: Inputs, pictures: Path, show: Show) -> None:
    found = _run(api, "v2", pictures)
    show("SDK v2: ModelTrainer", json.dumps(found, indent=1))
    assert "Training Execution failed" in found["command"]


def test_model_trainer_of_v3(api: Api, inputs: Inputs, pictures: Path, show: Show) -> None:
    found = _run(api, "v3", pictures)
    show("SDK v3: ModelTrainer", json.dumps(found, indent=1))
    assert found["command"][0] == "Completed"
    assert found["searched"] == ["command-v3", "trainer-v3"]


def _run(api: Api, version: str, pictures: Path) -> dict:
    found = api.client(
        f".venv-sdk{version[1]}",
        f"model_trainer_{version}.py",
        *(str(NOTEBOOKS), str(pictures), BUCKET, ROLE),
    )
    status, archive = found["script"]
    assert status == "Completed"
    assert archive.startswith(f"s3://{BUCKET}/trainer-{version}/")
    return found
