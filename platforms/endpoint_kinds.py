"""The kinds of endpoint that SageMaker has, and how its API tells them apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

EndpointKind = Literal["real_time", "serverless", "asynchronous"]


def endpoint_kind(described: Mapping[str, Any]) -> EndpointKind:
    """Return the kind of an endpoint or of its config, as requested or as described."""
    variants = described.get("ProductionVariants", [])
    # A config has the one member, an endpoint the other.
    if any({"ServerlessConfig", "CurrentServerlessConfig"} & set(variant) for variant in variants):
        return "serverless"
    if described.get("AsyncInferenceConfig") is not None:
        return "asynchronous"
    return "real_time"
