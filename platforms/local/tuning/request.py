"""What a tuning request means: its search, its objective, and the request of each trial. Pure.

What SageMaker would refuse is refused here before anything is written, with its own wording where
known. What it would accept but this platform cannot do is also refused if it would change the
result (several algorithms, ``AutoParameters``); otherwise a warning says that it is ignored.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from typing import Any

from platforms.local.tuning.search import SearchPlan
from platforms.local.tuning.search_space import SearchSpace, SearchSpaceError, search_space
from platforms.metric_regexes import MetricRegex, MetricRegexError
from sm_entrypoints.contract.sentences import ended
from sm_entrypoints.contract.wire import OBJECTIVE_KEY

# SageMaker's own limit of training jobs in a tuning job.
MAX_TRAINING_JOBS = 750

# Static hyperparameters that SageMaker reads the longest run of a trial from.
_EPOCHS = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
# Members of a training job definition that go to each trial unchanged.
_TRIAL_MEMBERS = (
    "AlgorithmSpecification",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "EnableNetworkIsolation",
    "Environment",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "RetryStrategy",
    "RoleArn",
    "StoppingCondition",
    "VpcConfig",
)
_RANGES = ("IntegerParameterRanges", "ContinuousParameterRanges", "CategoricalParameterRanges")
_SWITCHES = (
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "EnableNetworkIsolation",
)
_RESOURCES = ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")

Request = Mapping[str, Any]


def plan(request: Request, seed: int) -> SearchPlan:
    """Return the search that a request asks for.

    Raises:
        SearchSpaceError: a range is impossible, or the strategy cannot search the ranges.
    """
    config = request["HyperParameterTuningJobConfig"]
    strategy = config["Strategy"]
    hyperband = strategy == "Hyperband"
    low, high = _resources(request) if hyperband else (1, 1)
    return SearchPlan(
        strategy=strategy,
        space=search_space(config.get("ParameterRanges", {})),
        maximize=objective(request)["Type"] == "Maximize",
        seed=seed,
        early_stopping=config.get("TrainingJobEarlyStoppingType", "Off") == "Auto",
        min_resource=low,
        max_resource=high,
    )


def objective(request: Request) -> dict[str, str]:
    """Return the objective: ``Type`` (``Maximize`` or ``Minimize``) and ``MetricName``."""
    target: dict[str, str] = request["HyperParameterTuningJobConfig"][
        "HyperParameterTuningJobObjective"
    ]
    return target


def objective_regex(request: Request) -> str:
    """Return the regex that reads the objective from a trial's log."""
    metrics = request["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"]
    name = objective(request)["MetricName"]
    return str(next(each["Regex"] for each in metrics if each["Name"] == name))


def max_trials(request: Request, space: SearchSpace) -> int:
    """Return how many training jobs the tuning job launches."""
    config = request["HyperParameterTuningJobConfig"]
    if config["Strategy"] == "Grid":
        return math.prod(len(values) for values in space.grid.values())
    limit: int = config["ResourceLimits"]["MaxNumberOfTrainingJobs"]
    return limit


def problems(request: Request) -> Iterator[str]:
    """Yield everything that makes a request impossible, one sentence each."""
    if "TrainingJobDefinitions" in request or "TrainingJobDefinition" not in request:
        yield "Give one TrainingJobDefinition: this platform tunes one algorithm at a time."
        return
    if "HyperParameterTuningJobObjective" not in request["HyperParameterTuningJobConfig"]:
        yield "HyperParameterTuningJobObjective is required with TrainingJobDefinition."
        return
    yield from _objective_problems(request)
    yield from _strategy_problems(request["HyperParameterTuningJobConfig"])
    try:
        search = plan(request, 0)
    except SearchSpaceError as error:
        yield str(error)
        return
    yield from _static_problems(request, search.space)
    yield from _count_problems(request, search.space)


def ignored_fields(request: Request) -> list[str]:
    """Return members that are recorded and change nothing on this platform."""
    config = request["HyperParameterTuningJobConfig"]
    criteria = config.get("TuningJobCompletionCriteria", {})
    ignored = ["Autotune"] if "Autotune" in request else []
    if "ConvergenceDetected" in criteria:
        ignored.append("TuningJobCompletionCriteria.ConvergenceDetected")
    return ignored


def trial_name(tuning_job: Request, number: int) -> str:
    """Return the name of trial ``number`` (from 0): the same on every call."""
    name, created = tuning_job["HyperParameterTuningJobName"], tuning_job["CreationTime"]
    digest = hashlib.sha256(f"{name} {created} {number}".encode()).hexdigest()
    return f"{name}-{number + 1:03d}-{digest[:8]}"


def training_request(tuning_job: Request, name: str, tuned: Mapping[str, str]) -> dict[str, Any]:
    """Return the CreateTrainingJob request of a trial.

    Tags of the tuning job go to its trials. Each trial has its own checkpoints, below the given
    ``S3Uri``: a shared folder would make one trial resume from another's.
    """
    definition = tuning_job["TrainingJobDefinition"]
    request = {key: definition[key] for key in _TRIAL_MEMBERS if key in definition}
    request["ResourceConfig"] = _resource_config(definition)
    if "CheckpointConfig" in definition:
        config = definition["CheckpointConfig"]
        uri = f"{config['S3Uri'].rstrip('/')}/{name}"
        request["CheckpointConfig"] = {**config, "S3Uri": uri}
    if tuning_job.get("Tags"):
        request["Tags"] = tuning_job["Tags"]
    return {
        **request,
        "TrainingJobName": name,
        "HyperParameters": {
            **definition.get("StaticHyperParameters", {}),
            **tuned,
            OBJECTIVE_KEY: objective(tuning_job)["MetricName"],
        },
    }


def as_described(record: Request) -> dict[str, Any]:
    """Return the members of a request as the service describes them: with what it adds.

    Clients rely on it: SDK v2's ``HyperparameterTuner.attach`` reads all kinds of ranges and
    removes the objective from the static hyperparameters, where the service has put it.
    """
    config, definition = record["HyperParameterTuningJobConfig"], record["TrainingJobDefinition"]
    ranges = {kind: [] for kind in _RANGES} | config.get("ParameterRanges", {})
    limits = config["ResourceLimits"]
    if config["Strategy"] == "Grid":
        counted = max_trials(record, search_space(config.get("ParameterRanges", {})))
        limits = {"MaxNumberOfTrainingJobs": counted, **limits}
    static = {
        **definition.get("StaticHyperParameters", {}),
        OBJECTIVE_KEY: objective(record)["MetricName"],
    }
    return {
        "HyperParameterTuningJobConfig": {
            "TrainingJobEarlyStoppingType": "Off",
            **config,
            "ParameterRanges": ranges,
            "ResourceLimits": limits,
        },
        "TrainingJobDefinition": {
            **dict.fromkeys(_SWITCHES, False),
            **definition,
            "ResourceConfig": _resource_config(definition),
            "StaticHyperParameters": static,
        },
    }


def _resource_config(definition: Request) -> dict[str, Any]:
    """Return the resources of a trial, which a definition may give in either of two members."""
    settings = definition.get("HyperParameterTuningResourceConfig", {})
    settings = {**settings, **next(iter(settings.get("InstanceConfigs", ())), {})}
    resources: dict[str, Any] = definition.get("ResourceConfig") or {
        key: settings[key] for key in _RESOURCES if key in settings
    }
    return resources


def _objective_problems(request: Request) -> Iterator[str]:
    algorithm = request["TrainingJobDefinition"]["AlgorithmSpecification"]
    metrics = algorithm.get("MetricDefinitions", [])
    name = objective(request)["MetricName"]
    regexes = [each["Regex"] for each in metrics if each["Name"] == name]
    if not regexes:
        yield (
            "A metric is required for this hyperparameter tuning job objective. Provide a metric "
            f"in the metric definitions: {name!r} is not among "
            f"{[each['Name'] for each in metrics]}."
        )
    for each in regexes:
        try:
            MetricRegex(each)
        except MetricRegexError as error:
            yield f"Objective metric {name!r}: {each!r} {ended(error)}"


def _strategy_problems(config: Request) -> Iterator[str]:
    hyperband = config["Strategy"] == "Hyperband"
    if hyperband and config.get("TrainingJobEarlyStoppingType", "Off") != "Off":
        yield "TrainingJobEarlyStoppingType must be Off for Hyperband, which stops jobs itself."
    if "StrategyConfig" in config and not hyperband:
        yield f"StrategyConfig is for Hyperband; Strategy is {config['Strategy']}."
    if config.get("ParameterRanges", {}).get("AutoParameters"):
        yield "AutoParameters have no ranges to search on this platform; give a range for each."
    if config["Strategy"] != "Grid" and "MaxNumberOfTrainingJobs" not in config["ResourceLimits"]:
        yield f"ResourceLimits.MaxNumberOfTrainingJobs is required for {config['Strategy']}."


def _static_problems(request: Request, space: SearchSpace) -> Iterator[str]:
    static = set(request["TrainingJobDefinition"].get("StaticHyperParameters", {}))
    both = sorted(static & {each.name for each in space.parameters})
    if both:
        yield f"Hyperparameters {both} are static and have ranges; give one or the other."
    if OBJECTIVE_KEY in static:
        yield f"Hyperparameter {OBJECTIVE_KEY!r} is set by SageMaker; leave it out."


def _count_problems(request: Request, space: SearchSpace) -> Iterator[str]:
    config = request["HyperParameterTuningJobConfig"]
    limit = config["ResourceLimits"].get("MaxNumberOfTrainingJobs")
    if config["Strategy"] == "Grid":
        yield from _grid_problems(space, limit)
        return
    combinations = math.prod(each.combinations for each in space.parameters)
    if limit is not None and combinations < limit:
        yield (
            "You don't have enough combinations of hyperparameter ranges. The total number of "
            f"hyperparameter combinations for the provided ranges [{combinations}] must be equal "
            f"or greater than the value of MaxNumberOfJobs, [{limit}]. Provide additional ranges."
        )
    if limit is not None and limit > MAX_TRAINING_JOBS:
        yield f"MaxNumberOfTrainingJobs={limit} is more than SageMaker's {MAX_TRAINING_JOBS}."


def _grid_problems(space: SearchSpace, limit: int | None) -> Iterator[str]:
    others = [each.name for each in space.parameters if each.kind != "categorical"]
    if others:
        yield f"Grid searches categorical ranges only; {others} are not: list their values."
        return
    size = math.prod(len(values) for values in space.grid.values())
    if size > MAX_TRAINING_JOBS:
        yield f"The grid has {size} combinations, more than SageMaker's {MAX_TRAINING_JOBS}."
    elif limit is not None and limit != size:
        yield (
            f"MaxNumberOfTrainingJobs={limit} must be the number of combinations of the grid, "
            f"{size}; leave it out or correct it."
        )


def _resources(request: Request) -> tuple[int, int]:
    """Return Hyperband's bounds; the upper one from static epochs when it is not given."""
    config = request["HyperParameterTuningJobConfig"]
    bounds = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    static = request["TrainingJobDefinition"].get("StaticHyperParameters", {})
    inferred = next((static[key].strip('"') for key in _EPOCHS if key in static), "")
    high = bounds.get("MaxResource", int(inferred) if inferred.isdigit() else None)
    low: int = bounds.get("MinResource", 1)
    if high is None:
        raise SearchSpaceError(
            "Hyperband needs HyperbandStrategyConfig.MaxResource, or one of the static "
            f"hyperparameters {list(_EPOCHS)} to read it from."
        )
    if low > high:
        raise SearchSpaceError(f"Hyperband: MinResource={low} is more than MaxResource={high}.")
    return low, high
