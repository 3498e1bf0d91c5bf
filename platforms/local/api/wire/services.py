"""The services of the local API, and how a request names one of their operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore import xform_name
from botocore.model import OperationModel

from platforms.local.api.answers import Refused
from platforms.local.client import LocalSageMaker
from platforms.local.cloudwatch.operations import OPERATIONS as METRIC_OPERATIONS
from platforms.local.cloudwatch.operations import LocalCloudWatch
from platforms.local.context import LocalContext
from platforms.local.identity.operations import IAM_OPERATIONS, STS_OPERATIONS, LocalIam, LocalSts
from platforms.local.job_logs.operations import OPERATIONS as LOG_OPERATIONS
from platforms.local.job_logs.operations import LocalLogs
from platforms.validation import service_model
from sm_entrypoints.contract.sentences import nearest

Operation = Callable[..., dict[str, Any]]
# No request of these services has a quarter of them.
_MOST_LEVELS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service: botocore's name of it, and its operations by ours."""

    name: str
    operations: Mapping[str, Operation]

    def model(self, operation: str) -> OperationModel:
        """Return botocore's model of an operation (``CreateTrainingJob``).

        Raises:
            Refused: it is not here; names the nearest that is, and all others.
        """
        if xform_name(operation) not in self.operations:
            raise Refused("UnknownOperationException", self._unknown(operation))
        return service_model(self.name).operation_model(operation)

    def run(self, operation: str, request: Any) -> dict[str, Any]:
        """Run an operation with what boto3's caller would have passed."""
        if not isinstance(request, dict) or not all(isinstance(key, str) for key in request):
            raise Refused("SerializationException", "The body has no named members.")
        # What reads or shows a value calls itself for each level.
        if _is_deeper(request, _MOST_LEVELS):
            raise Refused(
                "SerializationException", f"The body has more than {_MOST_LEVELS} levels."
            )
        return self.operations[xform_name(operation)](**request)

    def _unknown(self, operation: str) -> str:
        names = {xform_name(name): name for name in service_model(self.name).operation_names}
        available = sorted(names[name] for name in self.operations)
        near = nearest(operation, available, cutoff=0.7)
        hint = f" The nearest is {near[0]}." if near else ""
        return (
            f"The local platform has no operation {operation!r} of {self.name}.{hint} "
            f"It has {', '.join(available)}."
        )


def _is_deeper(value: object, levels: int) -> bool:
    inside: list[object] = [value]
    for _ in range(levels):
        inside = [
            item
            for each in inside
            if isinstance(each, dict | list)
            for item in (each.values() if isinstance(each, dict) else each)
            if isinstance(item, dict | list)
        ]
        if not inside:
            return False
    return True


def services_of(context: LocalContext) -> list[Service]:
    """Return all services over one context."""
    sagemaker = LocalSageMaker(context)
    logs, metrics = LocalLogs(context=context), LocalCloudWatch(context=context)
    return [
        _service("sagemaker", sagemaker, sagemaker.operations),
        _service("logs", logs, LOG_OPERATIONS),
        _service("cloudwatch", metrics, METRIC_OPERATIONS),
        _service("iam", LocalIam(), IAM_OPERATIONS),
        _service("sts", LocalSts(), STS_OPERATIONS),
    ]


def _service(name: str, resource: Any, operations: Iterable[str]) -> Service:
    return Service(name=name, operations={each: getattr(resource, each) for each in operations})


def named(services: Iterable[Service], member: str, value: str) -> Service:
    """Return the service whose metadata has a value: ``targetPrefix`` or ``apiVersion``.

    Raises:
        Refused: there is none; lists the existing ones.
    """
    by_value = {service_model(each.name).metadata.get(member): each for each in services}
    by_value.pop(None, None)
    if value not in by_value:
        names = ", ".join(f"{prefix} ({each.name})" for prefix, each in sorted(by_value.items()))
        raise Refused(
            "UnknownOperationException",
            f"The local API has no service {value!r}; it has {names}.",
        )
    return by_value[value]
