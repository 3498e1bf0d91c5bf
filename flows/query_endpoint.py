"""Ask an endpoint about one image."""

from __future__ import annotations

from prefect import flow

from flows.hooks import FLOW_POLICY
from tasks.parameters.groups import Query
from tasks.querying import query
from tasks.runs.record_parts import Prediction


@flow(name="query-endpoint", **FLOW_POLICY)
def query_endpoint(request: Query) -> list[Prediction]:
    """Return the endpoint's labels for the image, most probable first."""
    return query(request.endpoint, request.image)
