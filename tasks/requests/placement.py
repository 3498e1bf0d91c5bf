"""Parts of requests: where jobs run, in which network, under which keys, and for how long.

What an account demands of every job (network, keys) is a setting; what a run chooses (instances,
spot, warm pool) is a parameter.
"""

from __future__ import annotations

from dataclasses import dataclass

from platforms import Settings
from tasks.parameters.run import ResourceParameters
from tasks.requests.identity import Request

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


def vpc_config(placement: Placement) -> Request:
    """Return ``VpcConfig`` as a member of a request; nothing when there is no network to name."""
    if not placement.subnets:
        return {}
    groups, subnets = list(placement.security_groups), list(placement.subnets)
    return {"VpcConfig": {"SecurityGroupIds": groups, "Subnets": subnets}}


def job_placement(resources: ResourceParameters, placement: Placement, output_uri: str) -> Request:
    """Return the members of a job's request that say where it runs, and how long.

    The same for a training job and for the definition of a tuning job's trials.
    """
    output = {"S3OutputPath": output_uri}
    if placement.output_kms_key:
        output["KmsKeyId"] = placement.output_kms_key
    members: Request = {
        "OutputDataConfig": output,
        "ResourceConfig": _resource_config(resources, placement),
        "StoppingCondition": {"MaxRuntimeInSeconds": resources.max_runtime_seconds},
        **vpc_config(placement),
    }
    if resources.spot:
        members["EnableManagedSpotTraining"] = True
        members["StoppingCondition"]["MaxWaitTimeInSeconds"] = resources.longest_seconds
    return members


def _resource_config(resources: ResourceParameters, placement: Placement) -> Request:
    config: Request = {
        "InstanceType": resources.instance_type,
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
