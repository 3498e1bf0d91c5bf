"""The request of a packed search: one training job whose trials are the trials of the run."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path

from dashboards.files.packed_search import PackedSearch, read_packed_search
from platforms import Platform
from platforms.errors import ParameterError, WhippetError
from platforms.sagemaker_requests import TrainingRequest
from platforms.sagemaker_types import TrainingJob
from sm_entrypoints.contract.sentences import ended
from tasks.parameters.run import ModelParameters, ResourceParameters, TuningParameters
from tasks.parameters.strategy import packed_plan
from tasks.requests.bodies import is_packed_search, packed_search_request
from tasks.requests.create_or_adopt import TRAINING_JOB
from tasks.requests.inputs import TrainingInputs
from tasks.requests.parents import parents_uri
from tasks.requests.training import job_inputs, output_uri_of
from tasks.requests.tuning import fixed_hyperparameters
from tasks.runs.names import RunIdentity, resource_name
from tasks.runs.output import unpack_output
from tasks.runs.record import SEARCH_FOLDER, redone_jobs


def search_of_trial(platform: Platform, name: str) -> str | None:
    """Return the packed search that a trial's name belongs to; None for a name of another kind."""
    search = re.fullmatch(r"(.+)-[0-9]+-[0-9a-z]+", name)
    if search is None:
        return None
    job = TRAINING_JOB.describe(platform.sagemaker, search[1])
    return search[1] if job is not None and is_packed_search(job) else None


def delivered_search(platform: Platform, job: TrainingJob) -> PackedSearch:
    """Return what a described packed search delivered.

    Raises:
        ParameterError: it delivered no trials.
    """
    with tempfile.TemporaryDirectory(prefix="whippet-search-") as folder:
        try:
            unpack_output(platform, output_uri_of(job), Path(folder), name=SEARCH_FOLDER)
            return read_packed_search(Path(folder) / SEARCH_FOLDER)
        except (WhippetError, ValueError) as error:
            raise ParameterError(
                f"packed search {job['TrainingJobName']!r} delivered no trials: {ended(error)} "
                f"See its log with `whippet logs {job['TrainingJobName']}`"
            ) from error


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

    A later attempt takes over the trials that had finished in those before it.

    Raises:
        ParameterError: as :func:`fixed_hyperparameters`.
        SearchPlanError: it cannot be packed; the choice of the strategy sees to it that it can.
    """
    plan = packed_plan(tuning, list(inputs.networks))
    fixed = fixed_hyperparameters(model, inputs, tuning)
    job = job_inputs(platform, run, inputs, resources, checkpoints=None)
    # Restored when the job starts, and what it computes anew is written back: no channel is needed.
    job = replace(job, features_uri=None, checkpoint_uri=inputs.features_uri)
    if tuning.warm_start_from:
        job = replace(job, parents_uri=parents_uri(platform, run))

    redone = redone_jobs(platform.settings, run)
    names = (resource_name(run, "tune", number) for number in count(1))
    first = next(name for name in names if name not in redone)

    def request(attempt: int) -> TrainingRequest:
        name = resource_name(run, "tune", attempt)
        own = replace(plan, continues=() if name == first or name in redone else (first,))
        return packed_search_request(name, fixed, own, job)

    return request
