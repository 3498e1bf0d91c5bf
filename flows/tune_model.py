"""Search hyperparameters: a tuning job of real training jobs on the validation loss."""

from __future__ import annotations

from prefect import flow

from flows.hooks import FLOW_POLICY
from flows.sync_data import sync_data
from tasks.linting import lint_finished_search
from tasks.parameters.run import (
    DataParameters,
    ModelParameters,
    ResourceParameters,
    TuningParameters,
)
from tasks.plan.requests import RunChoices
from tasks.planning import plan_stage
from tasks.requests.inputs import TrainingInputs
from tasks.runs.record_parts import BestTrial
from tasks.runs.stages import stage
from tasks.tuning import best_hyperparameters, follow_tuning_job, launch_tuning_job


@flow(name="search-hyperparameters", **FLOW_POLICY)
def search_hyperparameters(
    inputs: TrainingInputs,
    model: ModelParameters,
    tuning: TuningParameters,
    resources: ResourceParameters,
) -> BestTrial:
    """Launch or adopt the run's tuning job, follow it, return its best trial."""
    with stage("tune") as run:
        name = launch_tuning_job(run, inputs, model, tuning, resources)
        follow_tuning_job(run, name, tuning, resources)
    with stage("best"):
        best = best_hyperparameters(run, name, tuning)
        lint_finished_search(run, name, best, inputs, tuning)
        return best


@flow(name="tune-model", **FLOW_POLICY)
def tune_model(
    data: DataParameters | None = None,
    model: ModelParameters | None = None,
    tuning: TuningParameters | None = None,
    resources: ResourceParameters | None = None,
) -> BestTrial:
    """Plan, sync the data, then search hyperparameters on it."""
    data, model = data or DataParameters(), model or ModelParameters()
    tuning, resources = tuning or TuningParameters(), resources or ResourceParameters()
    with stage("plan") as run:
        choices = RunChoices(data=data, model=model, tuning=tuning, resources=resources)
        limits = plan_stage(run, choices)
    inputs = sync_data(data, model)
    return search_hyperparameters(
        inputs, model, limits.tuning(tuning), limits.trial_resources(resources)
    )
