"""Remove endpoints whose time to live has passed, with their configs and models."""

from __future__ import annotations

from prefect import flow

from flows.policy import FLOW_POLICY
from tasks.cleaning import remove_endpoints
from tasks.parameters import CleanUpParameters


@flow(name="clean-up", **FLOW_POLICY)
def clean_up(request: CleanUpParameters | None = None) -> list[str]:
    """Return the names of the endpoints that were removed (or would be, in a dry run)."""
    return remove_endpoints(request or CleanUpParameters())
