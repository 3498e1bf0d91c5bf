"""Kinds of endpoints: what may be asked for, and the requests that come of it."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import ValidationError

from platforms.endpoint_kinds import EndpointKind
from platforms.validation import validate
from tasks.endpoints.kinds import KINDS, REAL_TIME, SERVERLESS, Instances, instances_of, kind_of
from tasks.endpoints.requests import endpoint_config_request
from tasks.parameters.run import DeploymentParameters
from tasks.permissions.table import USER

URI = "s3://bucket/whippet/async/demo"


def config(**changes):
    deployment = DeploymentParameters(**changes)
    request = endpoint_config_request(
        "demo", "demo-model", deployment=deployment, tags={}, async_uri=URI
    )
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
        (
            {"kind": "serverless", "instance_type": "ml.g4dn.xlarge"},
            "instance_type have no meaning",
        ),
        ({"kind": "asynchronous", "max_instances": 3}, "max_instances have no meaning"),
        ({"max_concurrency": 3}, "it takes instance_type, instance_count, max_instances"),
        ({"instance_count": 4, "max_instances": 4}, "must be more than instance_count=4"),
        ({"kind": "serverless", "memory_mb": 1500}, "memory_mb"),
        ({"kind": "real-time"}, "kind"),
    ],
)
def test_options_of_another_kind_are_refused(changes, said):
    with pytest.raises(ValidationError, match=said):
        DeploymentParameters(**changes)


def test_every_kind_of_the_form_has_an_object_and_a_permission_to_be_asked():
    assert set(KINDS) == set(get_args(EndpointKind))
    allowed = {permission.action for permission in USER}
    asked = {kind.asked_by for kind in KINDS.values()}
    assert {f"sagemaker:{''.join(map(str.title, each.split('_')))}" for each in asked} <= allowed


@pytest.mark.parametrize("name", get_args(EndpointKind))
def test_a_request_is_of_the_kind_that_made_it(name):
    request, _ = config(kind=name)
    assert kind_of({**request, "EndpointConfigName": "ServerlessConfig"}).name == name


@pytest.mark.parametrize(
    ("described", "name"),
    [
        ({"ProductionVariants": [{"CurrentServerlessConfig": {}}]}, "serverless"),
        ({"ProductionVariants": [{"CurrentInstanceCount": 1}]}, "real_time"),
        ({"ProductionVariants": [{}], "AsyncInferenceConfig": {}}, "asynchronous"),
        ({"EndpointName": "creating"}, "real_time"),
    ],
)
def test_an_endpoint_is_recognised_as_it_is_described(described, name):
    assert kind_of(described).name == name


def test_only_instances_bill_by_the_hour():
    request, variant = config(instance_count=2)
    assert REAL_TIME.machines(request) == "2 x ml.t2.medium"
    variant["VolumeSizeInGB"] = 9
    assert instances_of(request) == [Instances(type="ml.t2.medium", count=2, volume_gb=9)]
    serverless, _ = config(kind="serverless")
    assert instances_of(serverless) == []
    assert SERVERLESS.machines(serverless) == "serverless"
