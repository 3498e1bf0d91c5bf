"""Kinds of endpoints: what may be asked for, and the requests that come of it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from platforms.validation import validate
from tasks.parameters.run import DeploymentParameters
from tasks.requests.bodies import endpoint_config_request

URI = "s3://bucket/whippet/async/demo"


def config(**changes):
    deployment = DeploymentParameters(**changes)
    request = endpoint_config_request("demo", "demo-model", deployment, {}, URI)
    validate("CreateEndpointConfig", request)
    (variant,) = request["ProductionVariants"]
    return request, variant


def test_instances_wait_by_default():
    request, variant = config(instance_count=2)
    assert (variant["InstanceType"], variant["InitialInstanceCount"]) == ("ml.t2.medium", 2)
    assert not {"ServerlessConfig"} & set(variant)
    assert "AsyncInferenceConfig" not in request


def test_a_serverless_variant_has_no_instances():
    request, variant = config(kind="serverless", memory_mb=6144, max_concurrency=200)
    assert variant["ServerlessConfig"] == {"MemorySizeInMB": 6144, "MaxConcurrency": 200}
    assert not {"InstanceType", "InitialInstanceCount"} & set(variant)
    assert "AsyncInferenceConfig" not in request


def test_an_asynchronous_endpoint_has_places_for_answers_and_failures():
    request, variant = config(kind="asynchronous", instance_type="ml.g4dn.xlarge")
    assert variant["InstanceType"] == "ml.g4dn.xlarge"
    output = {"S3OutputPath": f"{URI}/output", "S3FailurePath": f"{URI}/failure"}
    assert request["AsyncInferenceConfig"] == {"OutputConfig": output}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"kind": "serverless", "instance_type": "ml.g4dn.xlarge"}, "instance_type mean nothing"),
        ({"kind": "asynchronous", "max_instances": 3}, "max_instances mean nothing"),
        ({"max_concurrency": 3}, "it takes instance_type, instance_count, max_instances"),
        ({"instance_count": 4, "max_instances": 4}, "must be more than instance_count=4"),
        ({"kind": "serverless", "memory_mb": 1500}, "memory_mb"),
        ({"kind": "real-time"}, "kind"),
    ],
)
def test_options_of_another_kind_are_refused(changes, said):
    with pytest.raises(ValidationError, match=said):
        DeploymentParameters(**changes)
