"""Put a trained model behind an HTTP endpoint that was tested before it counts."""

from __future__ import annotations

from prefect import flow

from flows.policy import FLOW_POLICY
from tasks.deployment import (
    Deployment,
    create_endpoint,
    publish_endpoint,
    smoke_test_endpoint,
)
from tasks.parameters import DeploymentParameters
from tasks.reports import download_output
from tasks.stage import stage
from tasks.training import TrainedModel, describe_trained


@flow(name="deploy-trained", **FLOW_POLICY)
def deploy_trained(trained: TrainedModel, deployment: DeploymentParameters) -> Deployment:
    """Create or adopt the run's endpoint, test it with labelled images, publish it."""
    with stage("deploy") as run:
        names = create_endpoint(run, trained, deployment)
        deployed = smoke_test_endpoint(run, trained, names, deployment)
        publish_endpoint(run, deployed)
    return deployed


@flow(name="deploy-model", **FLOW_POLICY)
def deploy_model(training_job: str, deployment: DeploymentParameters | None = None) -> Deployment:
    """Deploy the model of a finished training job, by the job's name."""
    with stage("download") as run:
        trained = describe_trained(training_job)
        download_output(run, trained)
    return deploy_trained(trained, deployment or DeploymentParameters())
