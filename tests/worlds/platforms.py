"""Platforms made of parts: what a task asks is given, anything else is an AttributeError."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from platforms import Settings
from tasks.endpoints.requests import (
    ModelInputs,
    endpoint_config_request,
    endpoint_request,
    model_request,
)
from tasks.parameters.run import DeploymentParameters
from tasks.requests.tags import EXPIRES_TAG, RUN_TAG
from tasks.runs.record import open_run
from tests.worlds.fake_sagemaker import FakeSageMaker
from tests.worlds.requests import IMAGE, ROLE


def fake_platform(sagemaker: Any = None, *, home: Path | None = None, **parts: Any) -> Any:
    """Return a platform over an in-memory SageMaker, with no prices of its own.

    Without ``home`` no run is known. ``parts`` replace or add members: ``bills``, ``store``, ….
    """
    return SimpleNamespace(
        **{
            "settings": Settings(home=home or Path("no such home")),
            "sagemaker": FakeSageMaker() if sagemaker is None else sagemaker,
            "defaults": SimpleNamespace(
                bucket="bucket",
                role_arn=ROLE,
                training_image="image:1",
                inference_image="image:2",
                training_image_for=lambda _: "image:1",
                inference_image_for=lambda _: "image:2",
                poll_seconds=0.01,
            ),
            "pricing": None,
            "scaling": None,
            "metrics": None,
            "bills": False,
            "lost_endpoints": list,
            **parts,
        }
    )


def platform_with_run(home: Path, sagemaker: Any = None, **parts: Any) -> Any:
    """Return such a platform with a run that was opened in ``home``: its ``run``."""
    run = open_run(Settings(home=home), "id-1", "démo", {}, resume=False)
    return fake_platform(sagemaker, home=home, run=run, **parts)


def deploy(
    sagemaker: FakeSageMaker, name: str, expires: datetime | None, run: str = "demo"
) -> None:
    """Make an endpoint of a run with its configuration and model, as a deployment does."""
    tags = {RUN_TAG: run} | ({EXPIRES_TAG: expires.isoformat()} if expires else {})
    model = ModelInputs(image=IMAGE, role_arn=ROLE, model_data_uri="s3://b/m.tar.gz", tags=tags)
    settings = DeploymentParameters()
    sagemaker.create_model(**model_request(f"{name}-model", model, settings))
    config = endpoint_config_request(
        f"{name}-config",
        f"{name}-model",
        deployment=settings,
        tags=tags,
        async_uri="s3://b/async",
    )
    sagemaker.create_endpoint_config(**config)
    sagemaker.create_endpoint(**endpoint_request(name, f"{name}-config", tags))


def four_endpoints(now: datetime) -> FakeSageMaker:
    """Return a service with endpoints that expired, did not yet, never will, and are not ours."""
    fake = FakeSageMaker()
    deploy(fake, "old", now - timedelta(hours=1))
    deploy(fake, "new", now + timedelta(hours=1))
    deploy(fake, "forever", None)
    fake.create_endpoint(EndpointName="foreign", EndpointConfigName="theirs")
    return fake
