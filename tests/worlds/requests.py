"""Requests as a run builds them, with made-up names, and what they are built from."""

from __future__ import annotations

from typing import Any

from tasks.endpoints.requests import (
    ModelInputs,
    endpoint_config_request,
    endpoint_request,
    model_request,
)
from tasks.parameters.run import (
    DeploymentParameters,
    ModelParameters,
    ResourceParameters,
    TuningParameters,
)
from tasks.requests.bodies import JobInputs, tuning_job_request
from tasks.requests.inputs import TrainingInputs
from tasks.requests.tags import RUN_TAG
from tasks.requests.tuning import fixed_hyperparameters

IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312"
ROLE = "arn:aws:iam::123456789012:role/whippet"
TAGS = {RUN_TAG: "Été à Zürich", "whippet:flow-run": "3f2a"}


def inputs(**changes: Any) -> JobInputs:
    """Return what jobs are made of; ``changes`` by the names of its fields."""
    values = {
        "image": IMAGE,
        "role_arn": ROLE,
        "source_uri": "s3://bucket/whippet/code/0123456789abcdef/sourcedir.tar.gz",
        "data_uri": "s3://bucket/whippet/datasets/clipart",
        "output_uri": "s3://bucket/whippet/jobs",
        "weights_uri": "s3://bucket/whippet/weights/0123456789abcdef/weights.safetensors",
        "resources": ResourceParameters(),
        "tags": TAGS,
    }
    return JobInputs(**{**values, **changes})


def training_inputs(weights_uri: str | None = "s3://bucket/w.safetensors") -> TrainingInputs:
    """Return what the data stage hands to training."""
    return TrainingInputs(
        dataset="clipart",
        data_uri="s3://bucket/whippet/datasets/clipart",
        classes=["a", "b"],
        train_images=100,
        source_uri="s3://bucket/code/sourcedir.tar.gz",
        source_digest="d" * 64,
        weights_uri=weights_uri,
        weights_source="torchvision",
    )


def whippet_request() -> dict[str, Any]:
    """Return the tuning request of a run with defaults."""
    tuning = TuningParameters()
    fixed = fixed_hyperparameters(ModelParameters(), training_inputs(), tuning)
    return tuning_job_request("demo-tune", tuning.search_ranges(), fixed, inputs(), tuning)


def deployment_requests() -> list[tuple[str, dict[str, Any]]]:
    """Return the three requests of an endpoint, each behind its operation."""
    deployment = DeploymentParameters(top_k=3)
    model = ModelInputs(
        image=IMAGE, role_arn=ROLE, model_data_uri="s3://bucket/x/model.tar.gz", tags=TAGS
    )
    return [
        ("CreateModel", model_request("demo-model", model, deployment)),
        (
            "CreateEndpointConfig",
            endpoint_config_request(
                "demo-config",
                "demo-model",
                deployment=deployment,
                tags=TAGS,
                async_uri="s3://b/async",
            ),
        ),
        ("CreateEndpoint", endpoint_request("demo-endpoint", "demo-config", TAGS)),
    ]
