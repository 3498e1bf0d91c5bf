"""Endpoint configs and models that no endpoint uses, left by runs that died in between.

They cost nothing, but hold names, and a model's archive looks the same as one that is being served.
"""

from __future__ import annotations

from platforms import Platform
from tasks.endpoints.inventory import OwnedResource, list_owned
from tasks.requests.create_or_adopt import ENDPOINT, ENDPOINT_CONFIG, MODEL
from tasks.requests.tags import run_of


def list_unused(platform: Platform) -> list[OwnedResource]:
    """Return the configs that no endpoint uses, then the models that only such configs use.

    Use by others counts too, such as somebody else's endpoint with our config.
    """
    configs = list(list_owned(platform, ENDPOINT_CONFIG))
    models = list(list_owned(platform, MODEL))
    if not configs and not models:
        return []
    in_use = _configs_in_use(platform)
    unused = [config for config in configs if config.name not in in_use]
    served = _models_in_use(platform, {config.name for config in unused})
    return unused + [model for model in models if model.name not in served]


def own_config_and_models(
    platform: Platform, endpoint: str, config: str
) -> tuple[str | None, list[str]]:
    """Return what is to go with an endpoint: its config, and that one's models, if they are ours.

    None for a config that is not there, that somebody else made (an endpoint may have been updated
    to it), or that another endpoint uses. A model stays that another config uses.
    """
    described = ENDPOINT_CONFIG.describe(platform.sagemaker, config)
    if described is None:  # nothing says any more which models it had: they are unused now
        return None, []
    if not run_of(platform, described["EndpointConfigArn"]):
        return None, []
    if config in _configs_in_use(platform, besides=endpoint):
        return None, []
    served = _models_in_use(platform, {config})
    own = {
        str(each["ModelName"]) for each in described["ProductionVariants"] if "ModelName" in each
    }
    models = [(name, MODEL.describe(platform.sagemaker, name)) for name in sorted(own - served)]
    return config, [name for name, model in models if model and run_of(platform, model["ModelArn"])]


def _configs_in_use(platform: Platform, besides: str | None = None) -> set[str]:
    names = [name for name in ENDPOINT.names(platform.sagemaker) if name != besides]
    described = (ENDPOINT.describe(platform.sagemaker, name) for name in names)
    return {str(each["EndpointConfigName"]) for each in described if each is not None}


def _models_in_use(platform: Platform, without: set[str]) -> set[str]:
    names = set(ENDPOINT_CONFIG.names(platform.sagemaker)) - without
    described = (ENDPOINT_CONFIG.describe(platform.sagemaker, name) for name in sorted(names))
    return {
        str(variant["ModelName"])
        for each in described
        if each is not None
        for variant in each["ProductionVariants"]
        if "ModelName" in variant
    }
