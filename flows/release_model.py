"""The product: from a folder of images to a tuned, explained model behind an endpoint."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.deploy_model import deploy_trained
from flows.hooks import FLOW_POLICY, parts_of_a_run
from flows.naming import named, story_of_search
from flows.sync_data import sync_data
from flows.train_model import train_instrumented
from flows.tune_model import search_hyperparameters
from tasks.approving import refusal, require_somebody_to_ask
from tasks.parameters.groups import (
    Data,
    Endpoint,
    Model,
    OfRelease,
    ReleaseAdvanced,
    Resources,
    Training,
    Tuning,
)
from tasks.parameters.run import (
    DataParameters,
    DeploymentParameters,
    ModelParameters,
    ResourceParameters,
    TrainingParameters,
    TuningParameters,
)
from tasks.plan.requests import RunChoices
from tasks.planning import plan_stage
from tasks.querying import query_test_image
from tasks.reports import print_report, publish_run, render_report
from tasks.requests.training import final_hyperparameters
from tasks.runs.record_model import RunRecord
from tasks.runs.stages import stage
from tasks.stories.outcomes import released
from tasks.unanswered import held_back


@flow(name="release-model", flow_run_name=named(story_of_search), **FLOW_POLICY)
def release_model(
    data: Data = DataParameters(),
    model: Model = ModelParameters(),
    tuning: Tuning = TuningParameters(),
    training: Training = TrainingParameters(),
    deployment: Endpoint = DeploymentParameters(),
    resources: Resources = ResourceParameters(),
    advanced: OfRelease = ReleaseAdvanced(),
) -> RunRecord | State[Any]:
    """Plan, sync, tune, take the best, train on it, report, deploy, query; return the record.

    With ``deployment.approve`` a person may be asked before the model is deployed; a no ends the
    run without one, with the tag ``refused``.
    """
    held = held_back()
    if held is not None:
        return held
    data, model = advanced.settle("data", data), advanced.settle("model", model)
    tuning, training = advanced.settle("tuning", tuning), advanced.settle("training", training)
    deployment = advanced.settle("deployment", deployment)
    resources = advanced.settle("resources", resources)
    with stage("plan") as run:
        choices = RunChoices(
            data=data,
            model=model,
            tuning=tuning,
            training=training,
            deployment=deployment,
            resources=resources,
        )
        require_somebody_to_ask(deployment)
        limits = plan_stage(run, choices)
    with parts_of_a_run():
        inputs = sync_data(data, model)
        trials = limits.trial_resources(resources)
        best = search_hyperparameters(inputs, model, limits.tuning(tuning), trials)
        inputs = inputs.of_network(best.network)
        hyperparameters = final_hyperparameters(model, inputs, training, best.hyperparameters)
        job = limits.training_resources(resources)
        trained = train_instrumented(inputs, hyperparameters, training, job)
        refused = refusal(run, trained, deployment)
        if refused is not None:
            return refused
        deployed = deploy_trained(trained, deployment)
    with stage("query") as run:
        query_test_image(run, trained, deployed.endpoint)
    render_report(run)
    print_report(run)
    record = publish_run(run)
    return Completed(message=released(record), data=record)
