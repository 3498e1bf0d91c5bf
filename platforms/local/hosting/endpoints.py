"""Endpoints of the local platform: each one a detached model server on 127.0.0.1.

``create_endpoint`` and ``update_endpoint`` return at once; a detached supervisor deploys
(:mod:`platforms.local.hosting.supervisor`) and restarts a server that ended by itself. Deliberate
differences from AWS:

- An endpoint whose server cannot be restarted, or whose supervisor is gone too, reads as ``Failed``
  with the end of its log as the reason. Delete it, or create it again.
- ``delete_endpoint`` works in every status, and the endpoint is gone when it returns. One whose
  deleter was killed is deleted by whoever describes, lists or deletes it next.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from typing import Any

from platforms.client_errors import client_error
from platforms.job_environment import require_job_python
from platforms.local.context import LocalContext
from platforms.local.honoured.naming import warn_ignored
from platforms.local.hosting.errors import as_client_error
from platforms.local.hosting.kinds import CONFIG_MEMBERS
from platforms.local.hosting.model_calls import runtime_error
from platforms.local.hosting.models import container_of, read_endpoint_config, read_model
from platforms.local.hosting.record import (
    deleting,
    not_deployed,
    updating,
)
from platforms.local.hosting.settling import end_and_forget, settle_endpoint, settled
from platforms.local.hosting.starting import start_deployment
from platforms.local.listing import listing
from platforms.local.records import Missing, Record, now, with_times
from platforms.processes.process import (
    ProcessError,
    identify,
)

_HONOURED = frozenset({"EndpointName", "EndpointConfigName", "Tags"})


class Endpoints:
    """``create_endpoint`` and its siblings, with boto3's keyword arguments."""

    def __init__(self, context: LocalContext) -> None:
        self._context = context

    def create_endpoint(self, **request: Any) -> dict[str, Any]:
        """Start to deploy an endpoint configuration; ``Creating`` until its server answers."""
        name, arn = request["EndpointName"], self._context.arn("endpoint", request["EndpointName"])
        pending = self._pending("CreateEndpoint", request)
        record = {
            "EndpointName": name,
            "EndpointArn": arn,
            "EndpointConfigName": request["EndpointConfigName"],
            "EndpointStatus": "Creating",
            "CreationTime": now(),
            "LastModifiedTime": now(),
            "Tags": request.get("Tags", []),
            "Local": {"Pending": pending, "Server": None, "Retired": []},
        }
        with as_client_error(self._context, "CreateEndpoint", "endpoints", name):
            self._context.records.create("endpoints", name, record)
        try:
            start_deployment(self._context, name, pending)
        except ProcessError:
            # Nothing runs and nobody has seen it: as if it had never been asked for.
            self._context.records.delete("endpoints", name)
            raise
        return {"EndpointArn": arn}

    def update_endpoint(self, **request: Any) -> dict[str, Any]:
        """Deploy another configuration beside the serving one, which answers until then."""
        name, arn = request["EndpointName"], self._context.arn("endpoint", request["EndpointName"])
        settle_endpoint(self._context, "UpdateEndpoint", name)
        pending = self._pending("UpdateEndpoint", request)

        def begin(record: Record) -> Record:
            status = record["EndpointStatus"]
            if status != "InService":
                raise client_error(
                    "UpdateEndpoint",
                    "ValidationException",
                    f'Cannot update in-progress endpoint "{arn}".'
                    if status != "Failed"
                    else f'Cannot update endpoint "{arn}" in status Failed; delete it.',
                )
            return updating(record, pending)

        self._update("UpdateEndpoint", name, begin)
        try:
            start_deployment(self._context, name, pending)
        except ProcessError as error:
            reason = str(error)
            self._update(
                "UpdateEndpoint",
                name,
                lambda record: not_deployed(record, pending["Token"], reason),
            )
            raise
        return {"EndpointArn": arn}

    def describe_endpoint(self, **request: Any) -> dict[str, Any]:
        """Return an endpoint's current state: a server that ended meanwhile is noticed here."""
        record = settle_endpoint(self._context, "DescribeEndpoint", request["EndpointName"])
        shown = {key: value for key, value in record.items() if key not in {"Tags", "Local"}}
        pending = record["Local"]["Pending"]
        if record["EndpointStatus"] == "Updating" and pending:
            shown["PendingDeploymentSummary"] = {
                "EndpointConfigName": pending["EndpointConfigName"],
                "StartTime": record["LastModifiedTime"],
            }
        described: dict[str, Any] = with_times(shown)
        return described

    def list_endpoints(self, **request: Any) -> dict[str, Any]:
        """Return a page of endpoint summaries, newest first, each in its current state."""
        fields = (
            "EndpointName",
            "EndpointArn",
            "CreationTime",
            "LastModifiedTime",
            "EndpointStatus",
        )
        summaries = []
        for name in self._context.records.names("endpoints"):
            try:
                record = settled(self._context, name)
            except Missing:  # Deleted since the listing.
                continue
            summaries.append({key: with_times(record)[key] for key in fields})
        return listing("Endpoints", "EndpointName", summaries, request)

    def delete_endpoint(self, **request: Any) -> dict[str, Any]:
        """End every process of an endpoint, then remove it; gone when this returns."""
        name, ours = request["EndpointName"], identify(os.getpid())
        record = self._update("DeleteEndpoint", name, lambda record: deleting(record, ours))
        end_and_forget(self._context, record)
        return {}

    def _pending(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return the deployment that a request asks for, with all that it needs copied in."""
        config = read_endpoint_config(self._context, operation, request["EndpointConfigName"])
        variants = config["ProductionVariants"]
        model = read_model(self._context, operation, variants[0]["ModelName"])
        require_job_python(self._context.settings.job_python)
        warn_ignored(f"Endpoint {request['EndpointName']!r}", sorted(set(request) - _HONOURED))
        return {
            "Token": secrets.token_hex(8),
            "Group": None,
            "Starter": identify(os.getpid()).to_record(),
            "RequestTime": now(),
            "EndpointConfigName": request["EndpointConfigName"],
            "ProductionVariants": variants,
            **{member: config.get(member) for member in CONFIG_MEMBERS},
            "Container": dict(container_of(model)),
            **self._context.to_record(),
        }

    def _update(self, operation: str, name: str, change: Callable[[Record], Record]) -> Record:
        with as_client_error(self._context, operation, "endpoints", name):
            return self._context.records.update("endpoints", name, change)


def local_url(context: LocalContext, name: str) -> str:
    """Return the URL to POST to, as for ``curl``; it changes with every deployment.

    Raises:
        ClientError: ``ValidationException``, there is no such endpoint or it has no server;
            ``ServiceUnavailable``, its server is being restarted.
    """
    record = settle_endpoint(context, "DescribeEndpoint", name)
    server = record["Local"]["Server"]
    answers = record["EndpointStatus"] in {"InService", "Updating"}
    if answers and server and "Deployment" in server:
        raise client_error(
            "DescribeEndpoint",
            "ValidationException",
            f"Endpoint {name!r} is serverless: its server runs only during calls, from `whippet "
            f"predict --endpoint {name}` or invoke_endpoint.",
        )
    if server is None or not answers:
        raise client_error(
            "DescribeEndpoint",
            "ValidationException",
            f"Endpoint {name!r} is {record['EndpointStatus']}: it has no server to call.",
        )
    if server["Port"] is None:
        raise runtime_error(
            503,
            "ServiceUnavailable",
            f"The model server of endpoint {name} ended by itself and is being restarted; its "
            "log says why. Try again in a few seconds.",
        )
    return f"http://127.0.0.1:{server['Port']}/invocations"
