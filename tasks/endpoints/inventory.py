"""What Whippet made for endpoints and is still there: the one listing of all who ask."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from platforms import Platform
from platforms.sagemaker_types import ConfiguredVariant, Endpoint, EndpointConfig
from tasks.parameters.upkeep import CleanUpParameters
from tasks.requests.create_or_adopt import ENDPOINT, ENDPOINT_CONFIG, AnyResource
from tasks.requests.tags import EXPIRES_TAG, RUN_TAG, tags_if_there


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


def list_owned(platform: Platform, resource: AnyResource) -> Iterator[OwnedResource]:
    """Yield the resources of a type that carry Whippet's tags, newest first."""
    newest_first = {"SortBy": "CreationTime", "SortOrder": "Descending"}
    for summary in resource.summaries(platform.sagemaker, **newest_first):
        tags = tags_if_there(platform, summary[resource.arn_member])
        if RUN_TAG not in tags:
            continue
        expires = tags.get(EXPIRES_TAG)
        yield OwnedResource(
            resource=resource,
            name=summary[resource.name_member],
            status=resource.status_of(summary) or "",
            run=tags[RUN_TAG],
            created=summary["CreationTime"],
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
