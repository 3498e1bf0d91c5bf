"""``search``, with boto3's keyword arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from platforms.client_errors import client_error
from platforms.local.context import LocalContext
from platforms.local.hosting.endpoints import Endpoints
from platforms.local.hosting.models import Models
from platforms.local.page_tokens import next_token, read_offset
from platforms.local.records import Kind, Missing
from platforms.local.search_index.expression import SearchError, search_test, values_of
from platforms.local.training.jobs import TrainingJobs
from platforms.local.tuning.jobs import HyperParameterTuningJobs
from sm_entrypoints.contract.sentences import ended

Describe = Callable[..., dict[str, Any]]

_DEFAULT_MAX_RESULTS = 10


class SearchIndex:
    """Searches what the other resources describe; nothing is indexed, so nothing is late."""

    def __init__(self, context: LocalContext) -> None:
        self._context = context
        self._searched: dict[str, tuple[Kind, str, Describe]] = {
            "Endpoint": ("endpoints", "EndpointName", Endpoints(context).describe_endpoint),
            "HyperParameterTuningJob": (
                "tuning-jobs",
                "HyperParameterTuningJobName",
                HyperParameterTuningJobs(context).describe_hyper_parameter_tuning_job,
            ),
            "Model": ("models", "ModelName", Models(context).describe_model),
            "TrainingJob": (
                "training-jobs",
                "TrainingJobName",
                TrainingJobs(context).describe_training_job,
            ),
        }

    def search(self, **request: Any) -> dict[str, Any]:
        """Return a page of the resources that match, those that changed last first.

        Raises:
            ClientError: ``ValidationException``: a resource that is not here, an expression that
                cannot be read, a token that is not one of ours.
        """
        resource = request["Resource"]
        if resource not in self._searched:
            raise _refused(
                f"Resource {resource!r} is not available here; search one of "
                f"{', '.join(self._searched)}."
            )
        try:
            test = search_test(request.get("SearchExpression", {}))
        except SearchError as error:
            raise _refused(ended(error)) from error
        entities = [each for each in self._entities(resource) if test(each)]
        self._sort(resource, entities, request)
        first = _first(request)
        end = first + request.get("MaxResults", _DEFAULT_MAX_RESULTS)
        return {
            "Results": [_result(resource, each) for each in entities[first:end]],
            "TotalHits": {"Value": len(entities), "Relation": "EqualTo"},
            **next_token(end, entities),
        }

    def _entities(self, resource: str) -> Iterator[dict[str, Any]]:
        kind, name_key, describe = self._searched[resource]
        for name in self._context.records.names(kind):
            try:
                tags = self._context.records.read(kind, name).get("Tags", [])
                yield {**describe(**{name_key: name}), "Tags": tags}
            except (Missing, ClientError):  # Deleted since the listing.
                continue

    def _sort(self, resource: str, found: list[dict[str, Any]], request: Mapping[str, Any]) -> None:
        by = request.get("SortBy", "CreationTime" if resource == "Model" else "LastModifiedTime")
        name_key = self._searched[resource][1]
        descending = request.get("SortOrder", "Descending") == "Descending"

        def position(entity: dict[str, Any]) -> tuple[Any, ...]:
            value = next(values_of(entity, by), None)
            if isinstance(value, datetime):
                value = value.timestamp()
            number = isinstance(value, int | float)
            # Numbers before words; what has no such property comes last in either order.
            there = (value is not None) is descending
            return there, not number, value if number else str(value), entity[name_key]

        found.sort(key=position, reverse=descending)


def _result(resource: str, entity: dict[str, Any]) -> dict[str, Any]:
    # A model is one of several things that SageMaker shows of it.
    return {resource: {"Model": entity} if resource == "Model" else entity}


def _first(request: Mapping[str, Any]) -> int:
    token = request.get("NextToken")
    if token is None:
        return 0
    try:
        return read_offset(token)
    except ValueError as error:
        raise _refused(f"Invalid NextToken {token!r}; start from the first page.") from error


def _refused(message: str) -> ClientError:
    return client_error("Search", "ValidationException", message)
