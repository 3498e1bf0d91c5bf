"""Everything that a run would send, what it costs at most, and how a cap changes it.

The same functions as in the run build the requests. Placeholders stand for what only the run can
know: the search's result, the hash of the weights, and before a run also its name. Nothing is sent
or written; only the run's own jobs are read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypedDict, cast

from botocore.exceptions import ClientError, ParamValidationError
from botocore.model import StringShape
from pydantic import BaseModel, ConfigDict

from platforms import Platform
from platforms.errors import ParameterError
from platforms.sagemaker_requests import (
    AnyRequest,
    EndpointConfigRequest,
    EndpointRequest,
    ModelRequest,
    TrainingRequest,
    TuningRequest,
)
from platforms.settings import PROJECT_ROOT
from platforms.validation import service_model, validate
from sm_entrypoints import contract
from sm_entrypoints.contract.sentences import nearest
from sm_entrypoints.contract.wire import Value
from tasks.costs.prices import Use
from tasks.costs.worst_case import (
    parallel_jobs,
    wanted_instances,
)
from tasks.dataset.source import dataset_name
from tasks.endpoints.kinds import instances_of
from tasks.endpoints.requests import DeploymentRequests, endpoint_requests
from tasks.features.places import features_uri
from tasks.job_environment.source import ARCHIVE_NAME, package_source
from tasks.job_environment.weights import NONE
from tasks.parameters.run import (
    DataParameters,
    DeploymentParameters,
    ModelParameters,
    ResourceParameters,
    TrainingParameters,
    TuningParameters,
)
from tasks.requests.fine_tuning import (
    fine_tuning_hyperparameters,
    fine_tuning_inputs,
    fine_tuning_requests,
    require_head_to_start_from,
)
from tasks.requests.inputs import TrainingInputs
from tasks.requests.packed_search import packed_search_requests
from tasks.requests.shapes import AnyJob, is_job, job_definition
from tasks.requests.training import final_hyperparameters, training_requests
from tasks.requests.tuning import fixed_hyperparameters, search_requests
from tasks.runs.names import RunIdentity
from tasks.runs.record_model import RunFacts
from tasks.runs.record_parts import TrainedModel

UNNAMED = RunIdentity(name="run", token="xxxxxx", flow_run_id="of-the-run")
_WEIGHTS_HASH = "sha256-of-weights"
_INSTANCE_SHAPES: dict[Use, str] = {
    "training": "TrainingInstanceType",
    "hosting": "ProductionVariantInstanceType",
}
# In the order of sending.
_OPERATIONS: dict[Literal["tune", "train", "finetune", "model", "config", "endpoint"], str] = {
    "tune": "CreateHyperParameterTuningJob",
    "train": "CreateTrainingJob",
    "finetune": "CreateTrainingJob",
    "model": "CreateModel",
    "config": "CreateEndpointConfig",
    "endpoint": "CreateEndpoint",
}


class RunRequests(TypedDict, total=False):
    """The create requests of a run, by step; a stage that it does not have has none."""

    tune: TuningRequest | TrainingRequest
    train: TrainingRequest
    finetune: TrainingRequest
    model: ModelRequest
    config: EndpointConfigRequest
    endpoint: EndpointRequest


class PlannedRequest(BaseModel):
    """A request with the name of its operation."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    operation: str
    request: AnyRequest


class RunChoices(BaseModel):
    """The parameters of a run; a stage that it does not have is None."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    data: DataParameters
    model: ModelParameters
    resources: ResourceParameters
    tuning: TuningParameters | None = None
    training: TrainingParameters | None = None
    deployment: DeploymentParameters | None = None


def planned_inputs(platform: Platform, choices: RunChoices, record: RunFacts) -> TrainingInputs:
    """Return where the jobs would find data, code and weights, as the sync would say.

    ``record`` is that of a run that goes on, an empty one for a new run.
    """
    root = f"s3://{platform.defaults.bucket}/{platform.settings.prefix}"
    digest = package_source(PROJECT_ROOT).digest
    name = dataset_name(choices.data, record)
    weights = f"{root}/weights/{_WEIGHTS_HASH}/{contract.WEIGHTS_FILE}"
    return TrainingInputs(
        dataset=name,
        data_uri=f"{root}/datasets/{name}",
        classes=[],
        train_images=0,
        source_uri=f"{root}/code/{digest[:16]}/{ARCHIVE_NAME}",
        source_digest=digest,
        weights_uri=None if choices.model.weights == NONE else weights,
        weights_source=choices.model.shown_weights,
        networks={str(each): weights for each in choices.model.networks},
        features_uri=features_uri(platform, name),
    )


def planned_requests(
    platform: Platform,
    run: RunIdentity,
    inputs: TrainingInputs,
    choices: RunChoices,
    resources: Mapping[str, ResourceParameters],
) -> RunRequests:
    """Return every create request of a run in the order of sending, by step.

    Args:
        resources: those of the steps ``tune`` and ``train``; their limits may differ.
    """
    requests: RunRequests = {}
    model, tuning, training = choices.model, choices.tuning, choices.training
    if model.networks and tuning is None:
        raise ParameterError(
            f"model {model.architecture!r} is a choice, which a search makes: name one model, or "
            "run a whole run (whippet run)"
        )
    if training:
        require_head_to_start_from(model, training)
    if tuning:
        of_search = packed_search_requests if tuning.strategy == "packed" else search_requests
        search = of_search(
            platform, run, inputs=inputs, model=model, tuning=tuning, resources=resources["tune"]
        )
        requests["tune"] = search(1)
    if training:
        values = final_hyperparameters(model, inputs, training, _best(inputs, model, tuning))
        of_training = training_requests(
            platform,
            run,
            inputs=inputs,
            hyperparameters=values,
            training=training,
            resources=resources["train"],
        )
        requests["train"] = of_training(1)
    if training and training.fine_tune:
        of_all_layers = fine_tuning_requests(
            platform,
            run,
            inputs=fine_tuning_inputs(inputs, f"{_output_of(requests['train'])}/model.tar.gz"),
            hyperparameters=fine_tuning_hyperparameters(values),
            training=training,
            resources=resources["train"],
        )
        requests["finetune"] = of_all_layers(1)
    if choices.deployment:
        of_endpoint = _deployment(platform, run, requests["train"], choices.deployment)
        requests = {**requests, **of_endpoint}
    return requests


def _best(
    inputs: TrainingInputs, model: ModelParameters, tuning: TuningParameters | None
) -> dict[str, Value]:
    if tuning is None:
        return {}
    best = {name: f"best trial's {name}" for name in tuning.search_ranges()}
    return {**fixed_hyperparameters(model, inputs, tuning), **best}


def _output_of(train: TrainingRequest) -> str:
    return f"{train['OutputDataConfig']['S3OutputPath']}/{train['TrainingJobName']}/output"


def _deployment(
    platform: Platform, run: RunIdentity, train: TrainingRequest, deployment: DeploymentParameters
) -> DeploymentRequests:
    output = _output_of(train)
    trained = TrainedModel(
        job=train["TrainingJobName"],
        model_data_uri=f"{output}/model.tar.gz",
        output_uri=f"{output}/output.tar.gz",
        test_uri="",
        metrics={},
        billable_seconds=0,
    )
    return endpoint_requests(platform, run, trained, deployment)


def require_valid(requests: RunRequests) -> None:
    """Check requests against SageMaker's own model.

    Raises:
        ParameterError: one would be refused; names the operation, and SageMaker's reason. An
            instance type that there is not is answered by those that are like it.
    """
    for instance_type, use in wanted_instances(request for _, request in by_operation(requests)):
        types = cast(StringShape, service_model("sagemaker").shape_for(_INSTANCE_SHAPES[use])).enum
        if instance_type not in types:
            like = nearest(instance_type, types, most=3, cutoff=0.5)
            raise ParameterError(
                f"SageMaker has no instance type {instance_type!r} for {use}: did you mean "
                f"{', '.join(like) or 'such as ml.m5.xlarge'}?"
            )
    for operation, request in by_operation(requests):
        try:
            validate(operation, request)
        except (ClientError, ParamValidationError) as error:
            raise ParameterError(
                f"SageMaker would refuse {operation} of this run: {error}"
            ) from error


def by_operation(requests: RunRequests) -> list[tuple[str, AnyRequest]]:
    """Return requests in their order, each behind the name of its operation."""
    built = [(operation, requests[s]) for s, operation in _OPERATIONS.items() if s in requests]
    # A packed search is a training job.
    return [
        ("CreateTrainingJob" if "TrainingJobName" in request else operation, request)
        for operation, request in built
    ]


def quotas(requests: RunRequests) -> dict[str, int]:
    """Return the service quotas that the requests need, by the name that AWS gives them."""
    needed: dict[str, int] = {}
    for _, request in by_operation(requests):
        if is_job(request):
            name, count = _job_quota(request)
            needed[name] = max(count, needed.get(name, 0))  # one after the other
    for each in instances_of(requests["config"]) if "config" in requests else []:
        name = f"{each.type} for endpoint usage"
        needed[name] = needed.get(name, 0) + each.count
    return needed


def _job_quota(request: AnyJob) -> tuple[str, int]:
    definition = job_definition(request)
    resources = definition["ResourceConfig"]
    spot = "spot " if definition.get("EnableManagedSpotTraining") else ""
    return (
        f"{resources['InstanceType']} for {spot}training job usage",
        parallel_jobs(request) * int(resources["InstanceCount"]),
    )


def permissions(requests: RunRequests) -> list[str]:
    """Return the permissions that the sender of the requests needs."""
    operations = dict.fromkeys(operation for operation, _ in by_operation(requests))
    return [*(f"sagemaker:{operation}" for operation in operations), "iam:PassRole"]


def as_json(requests: RunRequests) -> list[PlannedRequest]:
    """Return requests with their operation."""
    return [
        PlannedRequest(operation=operation, request=request)
        for operation, request in by_operation(requests)
    ]
