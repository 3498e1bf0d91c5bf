"""The three requests of an endpoint: its model, its configuration, and itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypedDict

from platforms import Platform
from platforms.errors import ParameterError
from platforms.sagemaker_requests import EndpointConfigRequest, EndpointRequest, ModelRequest
from sm_entrypoints import contract
from tasks.endpoints.kinds import KINDS
from tasks.parameters.run import DeploymentParameters
from tasks.requests.create_or_adopt import ENDPOINT, ENDPOINT_CONFIG, MODEL, AnyResource
from tasks.requests.identity import with_tags
from tasks.requests.placement import Placement, placement_of, vpc_config
from tasks.requests.tags import EXPIRES_TAG, SCALED_TAG
from tasks.requests.training import run_tags
from tasks.runs.names import RunIdentity, Step, resource_name
from tasks.runs.record_parts import TrainedModel

# The only production variant of an endpoint.
VARIANT = "primary"

RESOURCES: dict[Step, AnyResource] = {
    "model": MODEL,
    "config": ENDPOINT_CONFIG,
    "endpoint": ENDPOINT,
}


class DeploymentRequests(TypedDict):
    """The three requests, by their steps in the order of sending."""

    model: ModelRequest
    config: EndpointConfigRequest
    endpoint: EndpointRequest


def endpoint_requests(
    platform: Platform,
    run: RunIdentity,
    trained: TrainedModel,
    deployment: DeploymentParameters,
) -> DeploymentRequests:
    """Return the requests of model, endpoint config and endpoint; its time to live begins now."""
    names = {step: resource_name(run, step) for step in RESOURCES}
    expires = datetime.now(UTC) + timedelta(hours=deployment.hours_to_live)
    tags = {
        **run_tags(run, platform.settings.tags),
        EXPIRES_TAG: expires.isoformat(timespec="seconds"),
    }
    bucket, prefix = platform.defaults.bucket, platform.settings.prefix
    async_uri = f"s3://{bucket}/{prefix}/async/{names['endpoint']}"
    if deployment.max_instances is not None:
        tags = {**tags, SCALED_TAG: str(deployment.max_instances)}
    placement = placement_of(platform.settings)
    model = ModelInputs(
        image=platform.defaults.inference_image_for(deployment.instance_type),
        role_arn=platform.defaults.role_arn,
        model_data_uri=trained.model_data_uri,
        placement=placement,
        tags=tags,
    )
    return {
        "model": model_request(names["model"], model, deployment),
        "config": endpoint_config_request(
            names["config"],
            names["model"],
            deployment=deployment,
            tags=tags,
            async_uri=async_uri,
            placement=placement,
        ),
        "endpoint": endpoint_request(names["endpoint"], names["config"], tags),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInputs:
    """The parts of a model."""

    image: str
    role_arn: str
    model_data_uri: str
    placement: Placement = field(default_factory=Placement)
    tags: Mapping[str, str] = field(default_factory=dict)


def model_request(name: str, inputs: ModelInputs, deployment: DeploymentParameters) -> ModelRequest:
    """Return the body of CreateModel: the archive's own ``code/inference.py`` serves it.

    Raises:
        ParameterError: SageMaker does not serve the deployment's kind in a VPC.
    """
    kind = KINDS[deployment.kind]
    if inputs.placement.subnets and not kind.in_vpc:
        raise ParameterError(
            f"model {name!r} cannot be served {kind.title} in the VPC of WHIPPET_SUBNETS, which "
            "SageMaker does not support: use --kind real-time, or unset WHIPPET_SUBNETS and "
            "WHIPPET_SECURITY_GROUPS"
        )
    request: ModelRequest = {
        "ModelName": name,
        "PrimaryContainer": {
            "Image": inputs.image,
            "ModelDataUrl": inputs.model_data_uri,
            "Environment": {
                "SAGEMAKER_PROGRAM": contract.INFERENCE_PROGRAM,
                "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
                "WHIPPET_TOP_K": str(deployment.top_k),
            },
        },
        "ExecutionRoleArn": inputs.role_arn,
    }
    if (network := vpc_config(inputs.placement)) is not None:
        request["VpcConfig"] = network
    return with_tags(request, inputs.tags)


def endpoint_config_request(
    name: str,
    model: str,
    *,
    deployment: DeploymentParameters,
    tags: Mapping[str, str],
    async_uri: str,
    placement: Placement = Placement(),  # noqa: B008
) -> EndpointConfigRequest:
    """Return the body of CreateEndpointConfig: one variant, of the deployment's kind.

    ``async_uri`` is the prefix below which an asynchronous endpoint writes its answers. Of the
    placement only the keys count: the network is the model's.
    """
    kind = KINDS[deployment.kind]
    request: EndpointConfigRequest = {
        "EndpointConfigName": name,
        "ProductionVariants": [
            kind.variant({"VariantName": VARIANT, "ModelName": model}, deployment)
        ],
    }
    return with_tags(kind.config(request, placement, async_uri), tags)


def endpoint_request(name: str, config: str, tags: Mapping[str, str]) -> EndpointRequest:
    """Return the body of CreateEndpoint."""
    request: EndpointRequest = {"EndpointName": name, "EndpointConfigName": config}
    return with_tags(request, tags)
