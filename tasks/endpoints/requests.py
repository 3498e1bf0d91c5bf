"""The three requests of an endpoint: its model, its configuration, and itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pydantic import BaseModel, ConfigDict

from platforms import Platform
from tasks.parameters.run import DeploymentParameters
from tasks.requests.bodies import (
    ModelInputs,
    Request,
    endpoint_config_request,
    endpoint_request,
    model_request,
)
from tasks.requests.create_or_adopt import ENDPOINT, ENDPOINT_CONFIG, MODEL, Resource
from tasks.requests.placement import placement_of
from tasks.requests.tags import EXPIRES_TAG, SCALED_TAG
from tasks.requests.training import TrainedModel, run_tags
from tasks.runs.names import RunIdentity, Step, resource_name

RESOURCES: dict[Step, Resource] = {
    "model": MODEL,
    "config": ENDPOINT_CONFIG,
    "endpoint": ENDPOINT,
}


class Deployment(BaseModel):
    """An endpoint in service that passed its smoke test."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    endpoint: str
    endpoint_config: str
    model: str
    expires: str
    smoke_images: int
    smoke_agreement: float


def endpoint_requests(
    platform: Platform,
    run: RunIdentity,
    trained: TrainedModel,
    deployment: DeploymentParameters,
) -> dict[Step, Request]:
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
            names["config"], names["model"], deployment, tags, async_uri, placement
        ),
        "endpoint": endpoint_request(names["endpoint"], names["config"], tags),
    }
