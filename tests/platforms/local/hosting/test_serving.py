"""Endpoints over the real model server, in the job environment."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager

import pytest
from botocore.exceptions import ClientError

from platforms.local.client import LocalSageMaker
from platforms.local.context import local_context
from platforms.local.hosting.endpoints import Endpoints, local_url
from platforms.local.hosting.runtime import LocalRuntime
from platforms.settings import Settings
from tests.worlds.brought_package import BROUGHT_PACKAGE
from tests.worlds.job_environment import JOB_PYTHON, needs_job_environment
from tests.worlds.local.serving import ROLE, put_archive, wait_for_endpoint

pytestmark = [pytest.mark.slow, pytest.mark.job, needs_job_environment]

HANDLERS = b"""
import json
from pathlib import Path


def model_fn(model_dir):
    return json.loads(Path(model_dir, "model.json").read_text())["factor"]


def input_fn(data, content_type):
    return bytes(data)


def predict_fn(data, model):
    return {"bytes": len(data), "sum": sum(data) * model}


def output_fn(prediction, accept):
    return json.dumps(prediction), accept
"""


@contextmanager
def endpoints_of(home, **settings):
    context = local_context(Settings(home=home, job_python=JOB_PYTHON, **settings))
    yield context
    for name in context.records.names("endpoints"):
        Endpoints(context).delete_endpoint(EndpointName=name)


@pytest.fixture
def context(tmp_path):
    with endpoints_of(tmp_path / "a 'home'") as context:
        yield context


def deploy(context, name, files):
    sagemaker = LocalSageMaker(context)
    container = {
        "Image": "image:1",
        "ModelDataUrl": put_archive(context, f"{name}.tar.gz", files),
        "Environment": {"SAGEMAKER_PROGRAM": "inference.py"},
    }
    sagemaker.create_model(ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    sagemaker.create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[
            {
                "VariantName": "AllTraffic",
                "ModelName": name,
                "InitialInstanceCount": 1,
                "InstanceType": "ml.m5.large",
            }
        ],
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)
    return wait_for_endpoint(context, name)


def test_handlers_answer_bytes_and_curl(context, tmp_path):
    described = deploy(
        context, "real", {"model.json": b'{"factor": 2}', "code/inference.py": HANDLERS}
    )
    assert described["EndpointStatus"] == "InService", described
    body = bytes(range(256))
    answer = LocalRuntime(context).invoke_endpoint(
        EndpointName="real", Body=body, ContentType="image/jpeg", Accept="application/json"
    )
    assert json.loads(answer["Body"].read()) == {"bytes": 256, "sum": 2 * sum(body)}
    (tmp_path / "photo.jpg").write_bytes(body)
    url = local_url(context, "real")
    command = ["curl", "-sS", "--noproxy", "*", "--data-binary", f"@{tmp_path / 'photo.jpg'}"]
    printed = subprocess.run(
        [*command, "-H", "Content-Type: image/jpeg", url], capture_output=True, check=True
    )
    assert json.loads(printed.stdout)["bytes"] == 256


def test_a_model_fn_that_raises_is_shown(context):
    described = deploy(
        context, "broken", {"model.json": b'{"scale": 2}', "code/inference.py": HANDLERS}
    )
    assert described["EndpointStatus"] == "Failed"
    assert "KeyError: 'factor'" in described["FailureReason"]
    assert "model_fn" in described["FailureReason"]
    with pytest.raises(ClientError, match="not found"):
        LocalRuntime(context).invoke_endpoint(EndpointName="broken", Body=b"")


def with_requirements(code, **files):
    return {
        "model.json": b'{"factor": 2}',
        "code/inference.py": code,
        **{f"code/{name}": text.encode() for name, text in files.items()},
    }


@pytest.mark.parametrize("boundary", ["auto", "none"])
def test_requirements_of_a_model_are_installed_once(tmp_path, boundary):
    code = HANDLERS + b"import brought\n\n\ndef predict_fn(data, model):\n    return brought.V\n"
    with endpoints_of(tmp_path / "home", boundary=boundary) as context:
        for name in ("one", "two"):
            described = deploy(context, name, with_requirements(code, **BROUGHT_PACKAGE))
            assert described["EndpointStatus"] == "InService", described
            answer = LocalRuntime(context).invoke_endpoint(EndpointName=name, Body=b"1")
            assert json.loads(answer["Body"].read()) == "1"
        logs = [
            next(context.records.folder("endpoints", name).glob("deployments/*/server.log"))
            for name in ("one", "two")
        ]
        assert "Successfully installed brought-1" in logs[0].read_text()
        assert "Successfully installed" not in logs[1].read_text()


def test_requirements_that_pip_refuses_fail_the_endpoint(context):
    asked = {"requirements.txt": "--no-index\nno-such-package>=1\n"}
    described = deploy(context, "refused", with_requirements(HANDLERS, **asked))
    assert described["EndpointStatus"] == "Failed"
    assert "its requirements.txt was not installed" in described["FailureReason"]
    assert "No matching distribution found for no-such-package" in described["FailureReason"]


def test_nothing_is_installed_when_nothing_is_missing(context):
    asked = {"requirements.txt": "torch\nsafetensors>=0.5\n"}
    described = deploy(context, "complete", with_requirements(HANDLERS, **asked))
    assert described["EndpointStatus"] == "InService", described
    assert not (context.home / "boundary" / "layers").exists()
