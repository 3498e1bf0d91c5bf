"""``LocalSageMaker``: the operations of ``boto3.client("sagemaker")`` that work on this machine."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from botocore import xform_name

from platforms.client_errors import response_metadata
from platforms.local.context import LocalContext
from platforms.local.honoured.members import accept
from platforms.local.hosting.endpoints import Endpoints
from platforms.local.hosting.models import EndpointConfigs, Models
from platforms.local.search_index.operations import SearchIndex
from platforms.local.tags import Tags
from platforms.local.training.jobs import TrainingJobs
from platforms.local.transform.jobs import TransformJobs
from platforms.local.tuning.jobs import HyperParameterTuningJobs
from platforms.validation import service_model
from sm_entrypoints.contract.kill_points import reach

Operation = Callable[..., dict[str, Any]]

# One class a resource: its public methods that are named as boto3's operations are the operations.
RESOURCES: tuple[Callable[[LocalContext], Any], ...] = (
    TrainingJobs,
    HyperParameterTuningJobs,
    TransformJobs,
    Models,
    EndpointConfigs,
    Endpoints,
    Tags,
    SearchIndex,
)


class LocalSageMaker:
    """Dicts in, dicts out, as boto3: keyword arguments only, every request validated first.

    An operation is there only when it really does the work; any other name is an
    ``AttributeError`` that lists those there are.
    """

    def __init__(
        self,
        context: LocalContext,
        resources: tuple[Callable[[LocalContext], Any], ...] = RESOURCES,
    ) -> None:
        self._operations: dict[str, Operation] = {}
        for resource in resources:
            self._operations |= _operations_of(resource(context))

    @property
    def operations(self) -> tuple[str, ...]:
        """Names of all operations, in boto3's spelling, sorted."""
        return tuple(sorted(self._operations))

    def __getattr__(self, name: str) -> Operation:
        operations: dict[str, Operation] = self.__dict__.get("_operations", {})
        if name not in operations:
            raise AttributeError(
                f"the local SageMaker has no operation {name!r}; it has {sorted(operations)}"
            )
        return partial(_call, operation_names()[name], operations[name])

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._operations]


@cache
def operation_names() -> dict[str, str]:
    """Return boto3's method names with SageMaker's: ``create_model`` → ``CreateModel``."""
    return {xform_name(name): name for name in service_model("sagemaker").operation_names}


def _operations_of(resource: Any) -> dict[str, Operation]:
    names = operation_names()
    return {name: getattr(resource, name) for name in dir(resource) if name in names}


def _call(operation: str, method: Operation, /, **request: Any) -> dict[str, Any]:
    accept("sagemaker", operation, request)
    reach(f"{xform_name(operation)} asked")
    response = method(**request)
    reach(f"{xform_name(operation)} answered")
    return {**response, "ResponseMetadata": response_metadata(200)}
