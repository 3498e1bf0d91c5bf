"""Scaling of endpoints: what Application Auto Scaling is sent, and that it is taken away again."""

from __future__ import annotations

import dataclasses
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from platforms import Settings, connect
from platforms.validation import validate
from tasks.endpoints.autoscaling import (
    scalable_target_request,
    scale_endpoint,
    scaling_policy_request,
    stop_scaling,
)
from tasks.parameters.run import DeploymentParameters
from tasks.requests.tags import SCALED_TAG

pytestmark = pytest.mark.slow

SCALED = DeploymentParameters(instance_count=2, max_instances=5, invocations_per_instance=70)
REGION = {"region_name": "eu-west-1"}


def test_the_service_would_take_the_requests():
    target, policy = scalable_target_request("e", SCALED), scaling_policy_request("e", SCALED)
    validate("RegisterScalableTarget", target, "application-autoscaling")
    validate("PutScalingPolicy", policy, "application-autoscaling")
    assert target["ResourceId"] == policy["ResourceId"] == "endpoint/e/variant/primary"
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 5)
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 70.0


def test_without_a_maximum_nothing_is_asked(tmp_path):
    platform = connect(Settings(home=tmp_path))
    assert scale_endpoint(platform, "e", DeploymentParameters()) == []
    (note,) = scale_endpoint(platform, "e", SCALED)
    assert "does not scale to max_instances=5" in note
    stop_scaling(platform, "e")


@pytest.fixture
def account(monkeypatch, tmp_path) -> Any:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        clients = {
            "sagemaker": boto3.client("sagemaker", **REGION),
            "scaling": boto3.client("application-autoscaling", **REGION),
        }
        yield dataclasses.replace(connect(Settings(home=tmp_path)), **clients)


def make_endpoint(sagemaker: Any, tags: dict[str, str]) -> None:
    role = "arn:aws:iam::123456789012:role/r"
    container = {"Image": "image:1", "ModelDataUrl": "s3://bucket/m.tar.gz"}
    variant = {
        "VariantName": "primary",
        "ModelName": "e",
        "InitialInstanceCount": 2,
        "InstanceType": "ml.m5.large",
    }
    sagemaker.create_model(ModelName="e", PrimaryContainer=container, ExecutionRoleArn=role)
    sagemaker.create_endpoint_config(EndpointConfigName="e", ProductionVariants=[variant])
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="e", Tags=pairs)


def targets(platform: Any) -> list[Any]:
    found = platform.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")
    return list(found["ScalableTargets"])


def test_scaling_is_registered_once_and_released(account):
    make_endpoint(account.sagemaker, {SCALED_TAG: "5"})
    stop_scaling(account, "e")  # an interrupted creation never came to it
    for _ in range(2):
        assert scale_endpoint(account, "e", SCALED) == []
    (target,) = targets(account)
    assert (target["MinCapacity"], target["MaxCapacity"]) == (2, 5)
    policies = account.scaling.describe_scaling_policies(ServiceNamespace="sagemaker")
    (policy,) = policies["ScalingPolicies"]
    assert policy["PolicyType"] == "TargetTrackingScaling"
    stop_scaling(account, "e")
    assert targets(account) == []


def test_what_was_not_scaled_is_not_asked_about(account):
    make_endpoint(account.sagemaker, {"team": "vision"})

    def refuse(**_: Any) -> None:
        error: Any = {"Error": {"Code": "AccessDeniedException", "Message": "no"}}
        raise ClientError(error, "DeregisterScalableTarget")

    account.scaling.meta.events.register("before-call.application-autoscaling", refuse)
    stop_scaling(account, "e")
    stop_scaling(account, "gone")
