"""SageMaker request bodies from parameters. Pure: the same input gives the same request.

The bodies are AWS's own, field by field, so a run on this machine tests the same request that AWS
would get. Shapes: botocore's service model of SageMaker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from platforms.sagemaker_requests import (
    AlgorithmSpecification,
    Channel,
    DebugHook,
    TrainingRequest,
    TrialDefinition,
    TuningConfig,
    TuningRequest,
    WarmStart,
)
from sm_entrypoints import contract
from sm_entrypoints.contract.search import SEARCH_HYPERPARAMETER, SearchPlan
from sm_entrypoints.contract.wire import Value, to_wire
from tasks.parameters.ranges import SearchRange, wire_ranges
from tasks.parameters.run import (
    ResourceParameters,
    TrainingParameters,
    TuningParameters,
)
from tasks.requests.identity import SOURCE_KEY, with_tags
from tasks.requests.placement import (
    Placement,
    launcher,
    output_data,
    resource_config,
    stopping_condition,
    vpc_config,
)

_PROGRAM_KEY = "sagemaker_program"
_TENSORS_PATH = "/opt/ml/output/tensors"
# All gradients of one step are 45 MB for ResNet18: with this quota, and those of our own records, a
# job's debug data stay below 5 MB.
_TENSORS_BYTES = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class JobInputs:
    """Where a job finds what it needs, and what it may use."""

    image: str
    role_arn: str
    source_uri: str
    data_uri: str
    output_uri: str
    weights_uri: str | None
    resources: ResourceParameters
    checkpoint_uri: str | None = None
    features_uri: str | None = None
    parents_uri: str | None = None
    placement: Placement = field(default_factory=Placement)
    tags: Mapping[str, str] = field(default_factory=dict)


def _channel(name: str, uri: str) -> Channel:
    return {
        "ChannelName": name,
        "DataSource": {
            "S3DataSource": {
                "S3DataType": "S3Prefix",
                "S3Uri": uri,
                "S3DataDistributionType": "FullyReplicated",
            }
        },
        "InputMode": "File",
    }


def _channels(inputs: JobInputs) -> list[Channel]:
    channels = [_channel(name, f"{inputs.data_uri}/{name}/") for name in contract.SPLITS]
    further = {
        contract.WEIGHTS_CHANNEL: inputs.weights_uri,
        contract.FEATURES_CHANNEL: inputs.features_uri,
        contract.PARENTS_CHANNEL: inputs.parents_uri,
    }
    return [*channels, *(_channel(name, uri) for name, uri in further.items() if uri)]


def _program(inputs: JobInputs, program: str = contract.TRAIN_PROGRAM) -> dict[str, str]:
    # The framework images' own contract: both keys tell the toolkit what to run.
    return {
        _PROGRAM_KEY: program,
        SOURCE_KEY: inputs.source_uri,
        **launcher(inputs.resources),
    }


def _algorithm(
    inputs: JobInputs, metrics: Sequence[str] = contract.METRIC_NAMES
) -> AlgorithmSpecification:
    return {
        "TrainingImage": inputs.image,
        "TrainingInputMode": "File",
        "MetricDefinitions": contract.metric_definitions(metrics),
    }


def _place(job: TrainingRequest | TrialDefinition, inputs: JobInputs) -> None:
    if (network := vpc_config(inputs.placement)) is not None:
        job["VpcConfig"] = network
    if inputs.resources.spot:
        job["EnableManagedSpotTraining"] = True


def training_job_request(
    name: str,
    hyperparameters: Mapping[str, Value],
    inputs: JobInputs,
    training: TrainingParameters,
) -> TrainingRequest:
    """Return the body of CreateTrainingJob for the instrumented training job."""
    request: TrainingRequest = {
        "TrainingJobName": name,
        "AlgorithmSpecification": _algorithm(inputs),
        "RoleArn": inputs.role_arn,
        "HyperParameters": {**to_wire(hyperparameters), **_program(inputs)},
        "InputDataConfig": _channels(inputs),
        "OutputDataConfig": output_data(inputs.placement, inputs.output_uri),
        "ResourceConfig": resource_config(inputs.resources, inputs.placement),
        "StoppingCondition": stopping_condition(inputs.resources),
        "ProfilerConfig": {
            "S3OutputPath": inputs.output_uri,
            "ProfilingIntervalInMilliseconds": training.profiling_interval_ms,
        },
    }
    _place(request, inputs)
    if inputs.checkpoint_uri:
        request["CheckpointConfig"] = {"S3Uri": inputs.checkpoint_uri}
    if training.debugger != "off":
        request["DebugHookConfig"] = _debug_hook(inputs.output_uri, training.save_interval)
    return with_tags(request, inputs.tags)


def _debug_hook(output_uri: str, save_interval: int) -> DebugHook:
    every = str(save_interval)
    quota = {"whippet.quota_bytes": str(_TENSORS_BYTES)}  # ours: smdebug passes over it
    return {
        "S3OutputPath": output_uri,
        "LocalPath": _TENSORS_PATH,
        "HookParameters": {"train.save_interval": every, "eval.save_interval": every, **quota},
        "CollectionConfigurations": [
            {"CollectionName": "losses", "CollectionParameters": {"save_interval": "1"}},
            {"CollectionName": "gradients"},
        ],
    }


def packed_search_request(
    name: str, fixed: Mapping[str, Value], plan: SearchPlan, inputs: JobInputs
) -> TrainingRequest:
    """Return the body of CreateTrainingJob for a search whose trials are all in this one job."""
    metrics = (*contract.METRIC_NAMES, *contract.SEARCH_METRICS)
    request: TrainingRequest = {
        "TrainingJobName": name,
        "AlgorithmSpecification": _algorithm(inputs, metrics),
        "RoleArn": inputs.role_arn,
        "HyperParameters": {
            **to_wire(fixed),
            SEARCH_HYPERPARAMETER: plan.to_json(),
            **_program(inputs, contract.SEARCH_PROGRAM),
        },
        "InputDataConfig": _channels(inputs),
        "OutputDataConfig": output_data(inputs.placement, inputs.output_uri),
        "ResourceConfig": resource_config(inputs.resources, inputs.placement),
        "StoppingCondition": stopping_condition(inputs.resources),
    }
    _place(request, inputs)
    if inputs.checkpoint_uri:
        request["CheckpointConfig"] = {"S3Uri": inputs.checkpoint_uri}
    return with_tags(request, inputs.tags)


def is_packed_search(job: Mapping[str, object]) -> bool:
    """Say whether a job, as a request or described, is a packed search of ours."""
    values = job.get("HyperParameters")
    return isinstance(values, Mapping) and values.get(_PROGRAM_KEY) == contract.SEARCH_PROGRAM


def tuning_job_request(
    name: str,
    ranges: Mapping[str, SearchRange],
    fixed: Mapping[str, Value],
    inputs: JobInputs,
    tuning: TuningParameters,
) -> TuningRequest:
    """Return the body of CreateHyperParameterTuningJob: minimise the validation loss."""
    request: TuningRequest = {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": _search_config(ranges, tuning),
        "TrainingJobDefinition": _trial_definition(fixed, inputs),
    }
    if tuning.warm_start_from:
        warm_start: WarmStart = {
            "ParentHyperParameterTuningJobs": [
                {"HyperParameterTuningJobName": parent} for parent in tuning.warm_start_from
            ],
            "WarmStartType": "TransferLearning",
        }
        request["WarmStartConfig"] = warm_start
    return with_tags(request, inputs.tags)


def _search_config(ranges: Mapping[str, SearchRange], tuning: TuningParameters) -> TuningConfig:
    config: TuningConfig = {
        "Strategy": _strategy(tuning),
        "HyperParameterTuningJobObjective": {
            "Type": "Minimize",
            "MetricName": contract.OBJECTIVE_METRIC,
        },
        "ResourceLimits": {
            "MaxNumberOfTrainingJobs": tuning.trials(),
            "MaxParallelTrainingJobs": min(tuning.max_parallel_jobs, tuning.trials()),
        },
        "ParameterRanges": wire_ranges(ranges),
        "TrainingJobEarlyStoppingType": tuning.early_stopping,
        "RandomSeed": tuning.seed,
    }
    if tuning.strategy == "Grid":
        # A grid's size follows from its values; SageMaker refuses a count beside it.
        del config["ResourceLimits"]["MaxNumberOfTrainingJobs"]
    if tuning.strategy == "Hyperband":
        config["StrategyConfig"] = {
            "HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": tuning.max_epochs}
        }
    return config


def _strategy(tuning: TuningParameters) -> Literal["Bayesian", "Random", "Hyperband", "Grid"]:
    if tuning.strategy == "packed":
        raise ValueError("a packed search is no tuning job")
    # What auto stands for where it is a tuning job.
    return "Bayesian" if tuning.strategy == "auto" else tuning.strategy


def _trial_definition(fixed: Mapping[str, Value], inputs: JobInputs) -> TrialDefinition:
    definition: TrialDefinition = {
        "StaticHyperParameters": {**to_wire(fixed), **_program(inputs)},
        "AlgorithmSpecification": _algorithm(inputs),
        "RoleArn": inputs.role_arn,
        "InputDataConfig": _channels(inputs),
        "OutputDataConfig": output_data(inputs.placement, inputs.output_uri),
        "ResourceConfig": resource_config(inputs.resources, inputs.placement),
        "StoppingCondition": stopping_condition(inputs.resources),
    }
    _place(definition, inputs)
    if inputs.checkpoint_uri:
        definition["CheckpointConfig"] = {"S3Uri": inputs.checkpoint_uri}
        # All trials have this one location: nothing in AWS's guide says that they do not share it.
        definition["Environment"] = {contract.CHECKPOINTS_BY_JOB: "1"}
    return definition
