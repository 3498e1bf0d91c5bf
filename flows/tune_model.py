"""Search hyperparameters on the validation loss: packed into one training job, or a tuning job."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.hooks import FLOW_POLICY, parts_of_a_run
from flows.naming import named, story_of_search
from flows.sync_data import sync_data
from sm_entrypoints.contract.sentences import counted
from tasks.linting import lint_finished_search
from tasks.packed_search import (
    best_of_packed_search,
    follow_packed_search,
    launch_packed_search,
)
from tasks.parameters.groups import Data, Model, OfTuning, Resources, TuneAdvanced, Tuning
from tasks.parameters.run import (
    DataParameters,
    ModelParameters,
    ResourceParameters,
    TuningParameters,
)
from tasks.parameters.strategy import choose_search
from tasks.plan.requests import RunChoices
from tasks.planning import plan_stage
from tasks.requests.inputs import TrainingInputs
from tasks.runs.record_parts import BestTrial
from tasks.runs.stages import stage
from tasks.stories.names import model_name
from tasks.stories.outcomes import searched
from tasks.tuning import best_hyperparameters, follow_tuning_job, launch_tuning_job


def _search(model: ModelParameters, tuning: TuningParameters, **others: Any) -> str:
    settled = choose_search(model, tuning, others["resources"]).settle(tuning)
    trials, dataset = counted(settled.trials(), "trial"), others["inputs"].dataset
    return f"search {trials} of {model_name(model)} on {dataset}"


@flow(name="search-hyperparameters", flow_run_name=named(_search), **FLOW_POLICY)
def search_hyperparameters(
    inputs: TrainingInputs,
    model: ModelParameters,
    tuning: TuningParameters,
    resources: ResourceParameters,
) -> BestTrial:
    """Launch or adopt the run's search, packed or a tuning job; follow it, return its best trial.

    A strategy that is still ``auto`` is settled here: those of whole runs are in their plan.
    """
    tuning = choose_search(model, tuning, resources).settle(tuning)
    packed = tuning.strategy == "packed"
    with stage("tune") as run:
        launch = launch_packed_search if packed else launch_tuning_job
        name = launch(run, inputs, model, tuning, resources)
        follow = follow_packed_search if packed else follow_tuning_job
        follow(run, name, tuning, resources)
    with stage("best"):
        take_best = best_of_packed_search if packed else best_hyperparameters
        best = take_best(run, name, tuning)
        lint_finished_search(run, best, inputs, tuning)
        return best


@flow(name="tune-model", flow_run_name=named(story_of_search), **FLOW_POLICY)
def tune_model(
    data: Data = DataParameters(),
    model: Model = ModelParameters(),
    tuning: Tuning = TuningParameters(),
    resources: Resources = ResourceParameters(),
    advanced: OfTuning = TuneAdvanced(),
) -> BestTrial | State[Any]:
    """Plan, sync the data, then search hyperparameters on it."""
    data, model = advanced.settle("data", data), advanced.settle("model", model)
    tuning, resources = advanced.settle("tuning", tuning), advanced.settle("resources", resources)
    with stage("plan") as run:
        choices = RunChoices(data=data, model=model, tuning=tuning, resources=resources)
        limits = plan_stage(run, choices)
    with parts_of_a_run():
        inputs = sync_data(data, model)
        searched_with = limits.tuning(tuning)
        best = search_hyperparameters(
            inputs, model, searched_with, limits.trial_resources(resources)
        )
    return Completed(message=searched(best, searched_with.trials()), data=best)
