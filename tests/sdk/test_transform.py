"""Batch transform by SDK v2, unmodified, against `whippet api`."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.sdk.conftest import USER_CODE, Api, Inputs
from tests.worlds.served_api import BUCKET, ROLE

pytestmark = [pytest.mark.slow, pytest.mark.job]


def test_sdk_v2_labels_a_prefix(api: Api, inputs: Inputs, show: Callable[[str, str], None]) -> None:
    found = api.client(".venv-sdk2", "transform_v2.py", str(USER_CODE), inputs.data, BUCKET, ROLE)
    assert found["status"] == "Completed"
    names = [f"labels/{label}/{n} é.jpg.out" for label in ("blue", "green", "red") for n in (0, 1)]
    assert found["keys"] == names
    assert found["first"] == {"label": "blue", "by": "the user's own handlers"}
    assert found["attached"] == [f"s3://{BUCKET}/labels", "application/json"]
    assert found["models"] == []
    show("SDK v2: PyTorchModel.transformer().transform()", json.dumps(found, indent=1))
