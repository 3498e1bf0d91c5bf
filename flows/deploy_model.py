"""Put a trained model behind an HTTP endpoint, and test the endpoint before it counts."""

from __future__ import annotations

from typing import Annotated, Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed
from pydantic import Field

from flows.hooks import FLOW_POLICY, parts_of_a_run
from flows.naming import named
from tasks.approving import refusal, require_somebody_to_ask
from tasks.deployment import create_endpoint, publish_endpoint, smoke_test_endpoint
from tasks.parameters.deployment import CostParameters, DeploymentParameters
from tasks.parameters.groups import Cost, DeployAdvanced, Endpoint, OfDeployment
from tasks.planning import plan_deployment
from tasks.reports import download_output
from tasks.runs.record_parts import Deployment, TrainedModel
from tasks.runs.stages import stage
from tasks.stories.outcomes import until
from tasks.training import describe_trained


def _deploying(trained: TrainedModel, **_: Any) -> str:
    return f"deploy {trained.job}"


def _story(training_job: str, **_: Any) -> str:
    return f"deploy {training_job}"


@flow(name="deploy-trained", flow_run_name=named(_deploying), **FLOW_POLICY)
def deploy_trained(trained: TrainedModel, deployment: DeploymentParameters) -> Deployment:
    """Create or adopt the run's endpoint, test it with labelled images, publish it."""
    with stage("deploy") as run:
        names = create_endpoint(run, trained, deployment)
        deployed = smoke_test_endpoint(run, trained, names, deployment)
        publish_endpoint(run, deployed)
    return deployed


@flow(name="deploy-model", flow_run_name=named(_story), **FLOW_POLICY)
def deploy_model(
    training_job: Annotated[
        str,
        Field(
            min_length=1,
            max_length=63,
            json_schema_extra={
                "title": "Training job",
                "description": "Name of a finished training job, whose model is deployed.",
            },
        ),
    ],
    deployment: Endpoint = DeploymentParameters(),
    cost: Cost = CostParameters(),
    advanced: OfDeployment = DeployAdvanced(),
) -> Deployment | State[Any]:
    """Plan, then deploy the model of a finished training job, by the job's name.

    ``cost.max_usd`` caps what the endpoint may cost within its time to live. With
    ``deployment.approve`` a person may be asked; a no ends the run with the tag ``refused``.
    """
    deployment = advanced.settle("deployment", deployment)
    with stage("plan") as run:
        require_somebody_to_ask(deployment)
        trained = describe_trained(training_job)
        plan_deployment(run, trained, deployment, cost.max_usd)
    with stage("download"):
        download_output(run, trained)
    refused = refusal(run, trained, deployment)
    if refused is not None:
        return refused
    with parts_of_a_run():
        deployed = deploy_trained(trained, deployment)
    return Completed(message=f"endpoint {until(deployed.expires)}", data=deployed)
