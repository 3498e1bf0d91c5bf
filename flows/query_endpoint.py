"""Ask an endpoint about one image."""

from __future__ import annotations

from prefect import flow

from flows.hooks import FLOW_POLICY
from flows.naming import named
from tasks.parameters.groups import Query
from tasks.parameters.run import QueryParameters
from tasks.querying import query
from tasks.runs.record_parts import Prediction
from tasks.stories.names import file_name


def _story(request: QueryParameters) -> str:
    return f"ask {request.endpoint} about {file_name(request.image)}"


@flow(name="query-endpoint", flow_run_name=named(_story), **FLOW_POLICY)
def query_endpoint(request: Query) -> list[Prediction]:
    """Return the endpoint's labels for the image, most probable first."""
    return query(request.endpoint, request.image)
