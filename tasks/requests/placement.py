"""Parts of requests: where jobs run, in which network, under which keys, and for how long.

What an account demands of every job (network, keys) is a setting; what a run chooses (instances,
spot, warm pool) is a parameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from platforms import Settings
from platforms.sagemaker_requests import (
    OutputData,
    RequestedResources,
    StoppingCondition,
    TrainingInstanceType,
    VpcConfig,
)
from tasks.parameters.run import ResourceParameters

# What the framework images' toolkit reads: it then starts one process a GPU by torchrun on every
# instance. Sent as the SDK sends it (sagemaker 2.257.7, pytorch/estimator.py).
_TORCH_DISTRIBUTED = "sagemaker_torch_distributed_enabled"
_INSTANCE_TYPE = "sagemaker_instance_type"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The network and the keys of an account; empty stands for AWS's own."""

    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    volume_kms_key: str | None = None
    output_kms_key: str | None = None


def placement_of(settings: Settings) -> Placement:
    """Return the network and the keys that the settings name."""
    return Placement(
        subnets=settings.subnets,
        security_groups=settings.security_groups,
        volume_kms_key=settings.volume_kms_key,
        output_kms_key=settings.output_kms_key,
    )


def vpc_config(placement: Placement) -> VpcConfig | None:
    """Return a request's ``VpcConfig``; None when there is no network to name."""
    if not placement.subnets:
        return None
    groups, subnets = list(placement.security_groups), list(placement.subnets)
    return {"SecurityGroupIds": groups, "Subnets": subnets}


def output_data(placement: Placement, output_uri: str) -> OutputData:
    """Return the ``OutputDataConfig`` of a training job, or of a tuning job's trials."""
    output: OutputData = {"S3OutputPath": output_uri}
    if placement.output_kms_key:
        output["KmsKeyId"] = placement.output_kms_key
    return output


def stopping_condition(resources: ResourceParameters) -> StoppingCondition:
    """Return how long a job may take, and on spot capacity how long it may take and wait."""
    condition: StoppingCondition = {"MaxRuntimeInSeconds": resources.max_runtime_seconds}
    if resources.spot:
        condition["MaxWaitTimeInSeconds"] = resources.longest_seconds
    return condition


def resource_config(resources: ResourceParameters, placement: Placement) -> RequestedResources:
    """Return the instances of a job and their volumes."""
    config: RequestedResources = {
        # The service model says which types there are (tasks/plan/requests.py checks).
        "InstanceType": cast(TrainingInstanceType, resources.instance_type),
        "InstanceCount": resources.instance_count,
        "VolumeSizeInGB": resources.volume_gb,
    }
    if placement.volume_kms_key:
        config["VolumeKmsKeyId"] = placement.volume_kms_key
    if resources.keep_alive_seconds:
        config["KeepAlivePeriodInSeconds"] = resources.keep_alive_seconds
    return config


def launcher(resources: ResourceParameters) -> dict[str, str]:
    """Return the hyperparameters by which several instances train one model; else none."""
    if resources.instance_count == 1:
        return {}
    return {_TORCH_DISTRIBUTED: "true", _INSTANCE_TYPE: resources.instance_type}
