"""The request of the tuning job; its trials, and the best of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dashboards.artifacts.tables import markdown_table
from platforms import Platform
from platforms.sagemaker_requests import TuningRequest
from platforms.sagemaker_types import Trial
from sm_entrypoints import contract
from sm_entrypoints.contract.wire import Value, from_wire
from tasks.parameters.ranges import edges_of
from tasks.parameters.run import ModelParameters, ResourceParameters, TuningParameters
from tasks.parameters.values import require_batches
from tasks.requests.bodies import tuning_job_request
from tasks.requests.inputs import TrainingInputs
from tasks.requests.pages import pages
from tasks.requests.training import base_hyperparameters, job_inputs
from tasks.runs.names import RunIdentity, resource_name
from tasks.runs.record_parts import BestTrial


def search_requests(
    platform: Platform,
    run: RunIdentity,
    *,
    inputs: TrainingInputs,
    model: ModelParameters,
    tuning: TuningParameters,
    resources: ResourceParameters,
) -> Callable[[int], TuningRequest]:
    """Return what gives the request of the run's search by attempt, from 1."""
    ranges = tuning.search_ranges()
    fixed = fixed_hyperparameters(model, inputs, tuning)
    # Only spot capacity is taken away from a trial: others would write what nobody reads.
    checkpoints = f"trials/{run.prefix}" if resources.spot else None
    job = job_inputs(platform, run, inputs, resources, checkpoints=checkpoints)
    return lambda attempt: tuning_job_request(
        resource_name(run, "tune", attempt), ranges, fixed, job, tuning
    )


def fixed_hyperparameters(
    model: ModelParameters, inputs: TrainingInputs, tuning: TuningParameters
) -> dict[str, Value]:
    """Return the fixed hyperparameters of every trial, without searched ones: SageMaker refuses
    both.

    Raises:
        ParameterError: the network cannot learn from a batch that may be drawn.
    """
    fixed: dict[str, Value] = {
        **base_hyperparameters(model, inputs),
        "seed": tuning.seed,
        "epochs": tuning.max_epochs,
        **tuning.fixed,
    }
    searched = tuning.search_ranges()
    require_batches(fixed, searched)
    return {name: value for name, value in fixed.items() if name not in searched}


def list_trials(platform: Platform, name: str) -> list[Trial]:
    """Return the training job summaries of a tuning job, oldest first."""
    answers = pages(
        lambda paging: platform.sagemaker.list_training_jobs_for_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name,
            SortBy="CreationTime",
            SortOrder="Ascending",
            **paging,
        )
    )
    return [trial for page in answers for trial in page["TrainingJobSummaries"]]


def best_trial(
    search: str, summary: Trial, hyperparameters: Mapping[str, str], tuning: TuningParameters
) -> BestTrial:
    """Return the best trial of a search from its summary and all its hyperparameters, typed."""
    ranges = tuning.search_ranges()
    values = from_wire(hyperparameters)
    return BestTrial(
        tuning_job=search,
        training_job=summary["TrainingJobName"],
        objective=summary["FinalHyperParameterTuningJobObjectiveMetric"]["Value"],
        hyperparameters=values,
        tuned=sorted(set(ranges) & set(values)),
        edges=edges_of(values, ranges),
    )


def best_markdown(best: BestTrial) -> str:
    """Return the best hyperparameters as the markdown of their artifact."""
    rows = [
        {
            "hyperparameter": name,
            "value": value,
            "": "searched" if name in best.tuned else "fixed",
            "note": f"at the {best.edges[name]} edge: widen the range"
            if name in best.edges
            else "",
        }
        for name, value in sorted(
            best.hyperparameters.items(), key=lambda item: item[0] not in best.tuned
        )
    ]
    return "\n".join(
        [
            "# Best hyperparameters",
            f"From trial `{best.training_job}` of the search `{best.tuning_job}`, "
            f"{contract.OBJECTIVE_METRIC} = {best.objective:.4f}.",
            "",
            markdown_table(rows, ["hyperparameter", "value", "", "note"]),
        ]
    )
