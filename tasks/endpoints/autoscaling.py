"""Give a real-time endpoint more instances as its load grows: target tracking.

The service is AWS's Application Auto Scaling: SageMaker's guide, "Automatic scaling of models".
"""

from __future__ import annotations

from botocore.exceptions import ClientError

from platforms import Platform
from tasks.endpoints.requests import VARIANT
from tasks.parameters.run import DeploymentParameters
from tasks.requests.create_or_adopt import ENDPOINT
from tasks.requests.tags import SCALED_TAG, tags_of

_DIMENSION = "sagemaker:variant:DesiredInstanceCount"
_METRIC = "SageMakerVariantInvocationsPerInstance"
_POLICY = "whippet-invocations"
# SageMaker's guide: adding may follow at once, removing should wait for a lull to last.
_SCALE_OUT_SECONDS, _SCALE_IN_SECONDS = 60, 300
_NOT_REGISTERED = "No scalable target found"


def scalable_target_request(endpoint: str, deployment: DeploymentParameters) -> dict[str, object]:
    """Return the body of RegisterScalableTarget: from instance_count to max_instances."""
    return {
        **_target(endpoint),
        "MinCapacity": deployment.instance_count,
        "MaxCapacity": deployment.max_instances,
    }


def scaling_policy_request(endpoint: str, deployment: DeploymentParameters) -> dict[str, object]:
    """Return the body of PutScalingPolicy: so many invocations a minute for each instance."""
    return {
        "PolicyName": _POLICY,
        **_target(endpoint),
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": float(deployment.invocations_per_instance),
            "PredefinedMetricSpecification": {"PredefinedMetricType": _METRIC},
            "ScaleOutCooldown": _SCALE_OUT_SECONDS,
            "ScaleInCooldown": _SCALE_IN_SECONDS,
        },
    }


def _target(endpoint: str) -> dict[str, object]:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{VARIANT}",
        "ScalableDimension": _DIMENSION,
    }


def scale_endpoint(
    platform: Platform, endpoint: str, deployment: DeploymentParameters
) -> list[str]:
    """Scale an endpoint in service if its deployment says so; sent twice, it changes nothing.

    Returns what people should know: a sentence when the platform cannot scale.
    """
    if deployment.max_instances is None:
        return []
    if platform.scaling is None:
        return [
            f"endpoint {endpoint} stays at one server: this platform does not scale to "
            f"max_instances={deployment.max_instances}"
        ]
    platform.scaling.register_scalable_target(**scalable_target_request(endpoint, deployment))
    platform.scaling.put_scaling_policy(**scaling_policy_request(endpoint, deployment))
    return []


def stop_scaling(platform: Platform, endpoint: str) -> None:
    """Take an endpoint's scaling away, with its policy and alarms, before it is deleted."""
    if platform.scaling is None:
        return
    description = ENDPOINT.describe(platform.sagemaker, endpoint)
    if description is None or SCALED_TAG not in tags_of(platform, description["EndpointArn"]):
        return
    try:
        platform.scaling.deregister_scalable_target(**_target(endpoint))
    except ClientError as error:
        # Never registered: its creation was interrupted before.
        if _NOT_REGISTERED not in error.response["Error"].get("Message", ""):
            raise
