"""The request of a packed search: one training job whose trials are the trials of the run."""

from __future__ import annotations

from collections.abc import Callable

from platforms import Platform
from platforms.sagemaker_requests import TrainingRequest
from tasks.parameters.run import ModelParameters, ResourceParameters, TuningParameters
from tasks.parameters.strategy import packed_plan
from tasks.requests.bodies import packed_search_request
from tasks.requests.inputs import TrainingInputs
from tasks.requests.training import job_inputs
from tasks.requests.tuning import fixed_hyperparameters
from tasks.runs.names import RunIdentity, resource_name


def packed_search_requests(
    platform: Platform,
    run: RunIdentity,
    *,
    inputs: TrainingInputs,
    model: ModelParameters,
    tuning: TuningParameters,
    resources: ResourceParameters,
) -> Callable[[int], TrainingRequest]:
    """Return what gives the request of the run's packed search by attempt, from 1.

    Raises:
        ParameterError: as :func:`fixed_hyperparameters`.
        SearchPlanError: it cannot be packed; the choice of the strategy sees to it that it can.
    """
    plan, fixed = packed_plan(tuning), fixed_hyperparameters(model, inputs, tuning)
    job = job_inputs(platform, run, inputs, resources, checkpoints=None)
    return lambda attempt: packed_search_request(
        resource_name(run, "tune", attempt), fixed, plan, job
    )
