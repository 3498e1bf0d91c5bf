"""Train one instrumented model and explain how it went."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.hooks import FLOW_POLICY, parts_of_a_run
from flows.naming import named
from flows.sync_data import sync_data
from platforms import Settings
from sm_entrypoints.contract.wire import Value
from tasks.linting import lint_finished_training
from tasks.parameters.groups import Data, Model, OfTraining, Resources, TrainAdvanced, Training
from tasks.parameters.run import (
    DataParameters,
    ModelParameters,
    ResourceParameters,
    TrainingParameters,
)
from tasks.plan.requests import RunChoices
from tasks.planning import plan_stage
from tasks.reports import download_output, print_report, publish_training, render_report
from tasks.requests.fine_tuning import fine_tuning_hyperparameters, fine_tuning_inputs
from tasks.requests.inputs import TrainingInputs
from tasks.requests.training import final_hyperparameters
from tasks.runs.record import read_run
from tasks.runs.record_parts import TrainedModel
from tasks.runs.stages import current_run, stage
from tasks.stories.names import training_name
from tasks.stories.outcomes import accuracy_of
from tasks.training import (
    follow_fine_tuning,
    follow_training_job,
    launch_fine_tuning,
    launch_training_job,
)


def _training(inputs: TrainingInputs, hyperparameters: dict[str, Value], **_: Any) -> str:
    return f"train {hyperparameters.get('model', 'a network')} on {inputs.dataset}"


def _story(advanced: TrainAdvanced, **groups: Any) -> str:
    data, model = (advanced.settle(name, groups[name]) for name in ("data", "model"))
    training = advanced.settle("training", groups["training"])
    return training_name(data, model, training.epochs)


@flow(name="train-instrumented", flow_run_name=named(_training), **FLOW_POLICY)
def train_instrumented(
    inputs: TrainingInputs,
    hyperparameters: dict[str, Value],
    training: TrainingParameters,
    resources: ResourceParameters,
) -> TrainedModel:
    """Launch or adopt the run's training job, follow it, bring its output home, render it.

    With ``fine_tune`` a second job trains all layers; the better model is what is returned.
    """
    with stage("train") as run:
        name = launch_training_job(run, inputs, hyperparameters, training, resources)
        trained = follow_training_job(run, name, hyperparameters, resources)
    if training.fine_tune:
        trained = fine_tune(trained, inputs, hyperparameters, training, resources)
    with stage("report"):
        download_output(run, trained)
        lint_finished_training(run)
        publish_training(run)
        render_report(run)
    return trained


def fine_tune(
    head: TrainedModel,
    inputs: TrainingInputs,
    hyperparameters: dict[str, Value],
    training: TrainingParameters,
    resources: ResourceParameters,
) -> TrainedModel:
    """Train all layers from the model of the head in a job of its own; return the better one."""
    values = fine_tuning_hyperparameters(hyperparameters)
    start = fine_tuning_inputs(inputs, head.model_data_uri)
    with stage("finetune") as run:
        name = launch_fine_tuning(run, start, values, training, resources)
        return follow_fine_tuning(run, head, name, values, resources)


@flow(name="train-model", flow_run_name=named(_story), **FLOW_POLICY)
def train_model(
    data: Data = DataParameters(),
    model: Model = ModelParameters(),
    training: Training = TrainingParameters(),
    resources: Resources = ResourceParameters(),
    advanced: OfTraining = TrainAdvanced(),
) -> TrainedModel | State[Any]:
    """Plan, sync the data, then train on it with the given hyperparameters, without a search."""
    data, model = advanced.settle("data", data), advanced.settle("model", model)
    training = advanced.settle("training", training)
    resources = advanced.settle("resources", resources)
    with stage("plan") as run:
        choices = RunChoices(data=data, model=model, training=training, resources=resources)
        limits = plan_stage(run, choices)
    with parts_of_a_run():
        inputs = sync_data(data, model)
        hyperparameters = final_hyperparameters(model, inputs, training, {})
        job = limits.training_resources(resources)
        trained = train_instrumented(inputs, hyperparameters, training, job)
    print_report(current_run())
    found = read_run(Settings(), current_run().name).evaluation
    return Completed(message=accuracy_of(found) if found else "trained", data=trained)
