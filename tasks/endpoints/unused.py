"""Endpoint configs and models that no endpoint uses, left by runs that died in between.

They cost nothing, but hold names, and a model's archive looks the same as one that is being served.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from botocore.exceptions import ClientError

from platforms import Platform
from tasks.parameters.run import CleanUpParameters
from tasks.requests.create_or_adopt import ENDPOINT, ENDPOINT_CONFIG, MODEL, is_not_found
from tasks.requests.pages import list_all
from tasks.requests.tags import EXPIRES_TAG, RUN_TAG, tags_of

Kind = Literal["EndpointConfig", "Model"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stranded:
    """A config or a model of Whippet's that nothing uses."""

    kind: Kind
    name: str
    run: str
    created: datetime
    expires: datetime | None

    def expired(self, now: datetime) -> bool:
        """Say whether its time to live has passed: no run is about to use it."""
        return self.expires is not None and self.expires <= now


def list_stranded(platform: Platform) -> list[Stranded]:
    """Return the configs that no endpoint uses, then the models that only such configs use.

    What others made of ours counts as use: an endpoint of somebody else's on our config, too.
    """
    sagemaker = platform.sagemaker
    configs = list(_ours(platform, "EndpointConfig", sagemaker.list_endpoint_configs))
    models = list(_ours(platform, "Model", sagemaker.list_models))
    if not configs and not models:
        return []
    in_use = _configs_in_use(platform)
    stranded = [config for config in configs if config.name not in in_use]
    served = _models_in_use(platform, {config.name for config in stranded})
    return stranded + [model for model in models if model.name not in served]


def own_config_and_models(
    platform: Platform, endpoint: str, config: str
) -> tuple[str | None, list[str]]:
    """Return what is to go with an endpoint: its config, and that one's models, if they are ours.

    None for a config that is not there, that somebody else made (an endpoint may have been updated
    to it), or that another endpoint uses. A model stays that another config uses.
    """
    described = ENDPOINT_CONFIG.describe(platform.sagemaker, config)
    if described is None:  # nothing says any more which models it had: they are stranded
        return None, []
    if not _is_ours(platform, described["EndpointConfigArn"]):
        return None, []
    if config in _configs_in_use(platform, besides=endpoint):
        return None, []
    served = _models_in_use(platform, {config})
    own = {
        str(each["ModelName"]) for each in described["ProductionVariants"] if "ModelName" in each
    }
    models = [(name, MODEL.describe(platform.sagemaker, name)) for name in sorted(own - served)]
    return config, [
        name for name, model in models if model and _is_ours(platform, model["ModelArn"])
    ]


def _is_ours(platform: Platform, arn: str) -> bool:
    return RUN_TAG in tags_of(platform, arn)


def stranded_to_remove(
    found: list[Stranded], parameters: CleanUpParameters, now: datetime
) -> list[Stranded]:
    """Return those that ``parameters`` mean: what has expired, or all; none beside one endpoint."""
    if parameters.endpoint is not None:
        return []
    return [each for each in found if parameters.all or each.expired(now)]


def remove_stranded(platform: Platform, found: Stranded) -> None:
    """Delete a config or a model; what is not there is no error."""
    delete = {
        "EndpointConfig": platform.sagemaker.delete_endpoint_config,
        "Model": platform.sagemaker.delete_model,
    }[found.kind]
    try:
        delete(**{f"{found.kind}Name": found.name})
    except ClientError as error:
        if not is_not_found(error):
            raise


def _ours(platform: Platform, kind: Kind, operation: Callable[..., Any]) -> Iterator[Stranded]:
    for summary in list_all(operation, f"{kind}s"):
        try:
            answer = platform.sagemaker.list_tags(ResourceArn=summary[f"{kind}Arn"])
        except ClientError as error:
            if is_not_found(error):  # deleted since it was listed
                continue
            raise
        tags = {tag["Key"]: tag["Value"] for tag in answer["Tags"]}
        if RUN_TAG in tags:
            expires = tags.get(EXPIRES_TAG)
            yield Stranded(
                kind=kind,
                name=summary[f"{kind}Name"],
                run=tags[RUN_TAG],
                created=summary["CreationTime"],
                expires=datetime.fromisoformat(expires) if expires else None,
            )


def _configs_in_use(platform: Platform, besides: str | None = None) -> set[str]:
    listed = list_all(platform.sagemaker.list_endpoints, "Endpoints")
    names = [each["EndpointName"] for each in listed if each["EndpointName"] != besides]
    described = (ENDPOINT.describe(platform.sagemaker, name) for name in names)
    return {str(each["EndpointConfigName"]) for each in described if each is not None}


def _models_in_use(platform: Platform, without: set[str]) -> set[str]:
    listed = list_all(platform.sagemaker.list_endpoint_configs, "EndpointConfigs")
    names = {str(each["EndpointConfigName"]) for each in listed} - without
    described = (ENDPOINT_CONFIG.describe(platform.sagemaker, name) for name in sorted(names))
    return {
        str(variant["ModelName"])
        for each in described
        if each is not None
        for variant in each["ProductionVariants"]
        if "ModelName" in variant
    }
