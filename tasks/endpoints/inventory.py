"""What Whippet made for endpoints and is still there: the one listing of all who ask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, TypedDict, cast

from platforms import Platform, SageMaker
from platforms.sagemaker_types import ConfiguredVariant, Endpoint, EndpointConfig
from tasks.parameters.upkeep import CleanUpParameters
from tasks.requests.create_or_adopt import ENDPOINT, ENDPOINT_CONFIG, MODEL, AnyResource
from tasks.requests.pages import pages
from tasks.requests.tags import EXPIRES_TAG, RUN_TAG, tags_if_there


class _Order(TypedDict):
    SortBy: Literal["CreationTime"]
    SortOrder: Literal["Descending"]


_NEWEST_FIRST: _Order = {"SortBy": "CreationTime", "SortOrder": "Descending"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedResource:
    """An endpoint, an endpoint config or a model that Whippet made, as it is now.

    Attributes:
        status: of an endpoint; empty for what is only a record.
        expires: the end of its time to live, if it has one.
    """

    resource: AnyResource
    name: str
    status: str
    run: str
    created: datetime
    expires: datetime | None

    @property
    def kind(self) -> str:
        """What SageMaker calls it: ``EndpointConfig``."""
        return self.resource.type_name

    def expired(self, now: datetime) -> bool:
        """Say whether its time to live has passed: no run is about to use it."""
        return self.expires is not None and self.expires <= now


class _Summary(NamedTuple):
    name: str
    arn: str
    created: datetime
    status: str = ""


def _endpoints(sagemaker: SageMaker) -> list[_Summary]:
    answers = pages(lambda paging: sagemaker.list_endpoints(**_NEWEST_FIRST, **paging))
    return [
        _Summary(
            each["EndpointName"],
            each["EndpointArn"],
            each["CreationTime"],
            each["EndpointStatus"],
        )
        for page in answers
        for each in page["Endpoints"]
    ]


def _endpoint_configs(sagemaker: SageMaker) -> list[_Summary]:
    answers = pages(lambda paging: sagemaker.list_endpoint_configs(**_NEWEST_FIRST, **paging))
    return [
        _Summary(each["EndpointConfigName"], each["EndpointConfigArn"], each["CreationTime"])
        for page in answers
        for each in page["EndpointConfigs"]
    ]


def _models(sagemaker: SageMaker) -> list[_Summary]:
    answers = pages(lambda paging: sagemaker.list_models(**_NEWEST_FIRST, **paging))
    return [
        _Summary(each["ModelName"], each["ModelArn"], each["CreationTime"])
        for page in answers
        for each in page["Models"]
    ]


_LISTINGS: dict[AnyResource, Callable[[SageMaker], list[_Summary]]] = {
    ENDPOINT: _endpoints,
    ENDPOINT_CONFIG: _endpoint_configs,
    MODEL: _models,
}


def list_owned(platform: Platform, resource: AnyResource) -> Iterator[OwnedResource]:
    """Yield the resources of a type that carry Whippet's tags, newest first."""
    for summary in _LISTINGS[resource](platform.sagemaker):
        tags = tags_if_there(platform, summary.arn)
        if RUN_TAG not in tags:
            continue
        expires = tags.get(EXPIRES_TAG)
        yield OwnedResource(
            resource=resource,
            name=summary.name,
            status=summary.status,
            run=tags[RUN_TAG],
            created=summary.created,
            expires=datetime.fromisoformat(expires) if expires else None,
        )


def list_endpoints(platform: Platform) -> list[OwnedResource]:
    """Return the endpoints that carry Whippet's tags, newest first."""
    return list(list_owned(platform, ENDPOINT))


def meant_by(
    parameters: CleanUpParameters, owned: Iterable[OwnedResource], now: datetime
) -> list[OwnedResource]:
    """Return what a clean-up is to remove: one endpoint by its name, what has expired, or all."""
    if parameters.endpoint is not None:
        return [
            each for each in owned if (each.resource, each.name) == (ENDPOINT, parameters.endpoint)
        ]
    return [each for each in owned if parameters.all or each.expired(now)]


def config_now(platform: Platform, endpoint: Endpoint) -> EndpointConfig:
    """Return the config of a described endpoint, with as many instances as it has now.

    A config may be deleted while its endpoint is in service: then what the endpoint says itself.
    """
    config = ENDPOINT_CONFIG.describe(platform.sagemaker, endpoint["EndpointConfigName"])
    if config is None:
        return cast(EndpointConfig, dict(endpoint))
    counts = {
        each["VariantName"]: each["CurrentInstanceCount"]
        for each in endpoint.get("ProductionVariants", [])
        if each.get("CurrentInstanceCount") is not None
    }
    variants = config["ProductionVariants"]
    return {**config, "ProductionVariants": [_sized(each, counts) for each in variants]}


def _sized(variant: ConfiguredVariant, counts: Mapping[str, int]) -> ConfiguredVariant:
    count = counts.get(variant["VariantName"])
    if count is None or "InstanceType" not in variant:
        return variant
    return {**variant, "InitialInstanceCount": count}
