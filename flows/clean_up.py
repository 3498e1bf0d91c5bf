"""Remove expired endpoints with their configs and models, and unused configs and models."""

from __future__ import annotations

from prefect import flow

from flows.hooks import FLOW_POLICY
from tasks.cleaning import remove_endpoints, remove_unused
from tasks.parameters.run import CleanUpParameters


@flow(name="clean-up", **FLOW_POLICY)
def clean_up(request: CleanUpParameters | None = None) -> list[str]:
    """Return the names of the endpoints that were removed (or would be, in a dry run).

    Configs and models that no endpoint uses go as well; at the end stands what still bills.
    """
    chosen = request or CleanUpParameters()
    removed = remove_endpoints(chosen)
    remove_unused(chosen)
    return removed
