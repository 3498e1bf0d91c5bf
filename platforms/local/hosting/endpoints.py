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
from datetime import UTC, datetime
from typing import Any

from platforms.client_errors import client_error
from platforms.job_environment import require_job_python
from platforms.local.context import (
    LOGGER,
    LocalContext,
)
from platforms.local.hosting.deployment import FAILURE_REASON_CHARACTERS, Deployment
from platforms.local.hosting.errors import as_client_error
from platforms.local.hosting.kinds import CONFIG_MEMBERS
from platforms.local.hosting.model_calls import runtime_error
from platforms.local.hosting.models import container_of, read_endpoint_config, read_model
from platforms.local.hosting.record import (
    deleting,
    groups,
    not_deployed,
    server_lost,
    updating,
)
from platforms.local.hosting.supervisor import GRACE_SECONDS
from platforms.local.listing import listing
from platforms.local.records import Missing, Record, now, with_times
from platforms.local.supervision import start_supervisor
from platforms.processes.process import (
    ProcessError,
    ProcessId,
    alive,
    identify,
    terminate_group,
)

_SUPERVISOR = "platforms.local.hosting.supervisor"
# A deployment whose supervisor never signed in was killed with its creator.
_SIGN_IN_SECONDS = 60.0
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
            self._supervise(name, pending["Token"])
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
            self._supervise(name, pending["Token"])
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
                record = _settled(self._context, name)
            except Missing:  # Deleted since the listing.
                continue
            summaries.append({key: with_times(record)[key] for key in fields})
        return listing("Endpoints", "EndpointName", summaries, request)

    def delete_endpoint(self, **request: Any) -> dict[str, Any]:
        """End every process of an endpoint, then remove it; gone when this returns."""
        name, ours = request["EndpointName"], identify(os.getpid())
        record = self._update("DeleteEndpoint", name, lambda record: deleting(record, ours))
        _end_and_forget(self._context, record)
        return {}

    def _pending(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return the deployment that a request asks for, with all that it needs copied in."""
        config = read_endpoint_config(self._context, operation, request["EndpointConfigName"])
        variants = config["ProductionVariants"]
        model = read_model(self._context, operation, variants[0]["ModelName"])
        require_job_python(self._context.settings.job_python)
        ignored = sorted(set(request) - _HONOURED)
        if ignored:
            LOGGER.warning(
                "Endpoint %r: this platform does not honour %s",
                request["EndpointName"],
                ", ".join(ignored),
            )
        return {
            "Token": secrets.token_hex(8),
            "Group": None,
            "RequestTime": now(),
            "EndpointConfigName": request["EndpointConfigName"],
            "ProductionVariants": variants,
            **{member: config.get(member) for member in CONFIG_MEMBERS},
            "Container": dict(container_of(model)),
            **self._context.to_record(),
        }

    def _supervise(self, name: str, token: str) -> None:
        """Start the supervisor, which signs in to the record by itself."""
        folder = self._context.records.folder("endpoints", name)
        start_supervisor(
            [_SUPERVISOR, str(self._context.home), name, token],
            log=folder / "supervisor.log",
            s3_endpoint=self._context.settings.s3_endpoint,
        )

    def _update(self, operation: str, name: str, change: Callable[[Record], Record]) -> Record:
        with as_client_error(self._context, operation, "endpoints", name):
            return self._context.records.update("endpoints", name, change)


def settle_endpoint(context: LocalContext, operation: str, name: str) -> Record:
    """Return an endpoint's record, updated for processes that died since it was written.

    Raises:
        ClientError: ``ValidationException``, there is no such endpoint.
    """
    with as_client_error(context, operation, "endpoints", name):
        return _settled(context, name)


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


def _settled(context: LocalContext, name: str) -> Record:
    record = context.records.read("endpoints", name)
    if record["EndpointStatus"] == "Deleting" and _deleter_is_gone(record):
        _end_and_forget(context, record)
        raise Missing(f"endpoint {name!r} was deleted")
    pending, server = record["Local"]["Pending"], record["Local"]["Server"]
    if pending and _abandoned(pending):
        return _give_up(context, record)
    # A serverless deployment without a process only waits for somebody to ask.
    fixed = server and "Deployment" not in server
    if record["EndpointStatus"] == "InService" and fixed and not _runs(server):
        reason = _last_words(context, record, server["Token"])
        return context.records.update(
            "endpoints", name, lambda record: server_lost(record, server["Token"], reason)
        )
    return record


def _deleter_is_gone(record: Record) -> bool:
    deleter = record["Local"].get("Deleter")
    return deleter is None or not alive(ProcessId.from_record(deleter))


def _end_and_forget(context: LocalContext, record: Record) -> None:
    """End every process of an endpoint, then remove its record; safe to repeat after a kill."""
    for group in groups(record):
        terminate_group(group, GRACE_SECONDS)
    try:
        context.records.delete("endpoints", record["EndpointName"])
    except Missing:  # Somebody else deleted it in the same moment: it is gone.
        LOGGER.info("endpoint %r was deleted twice at once", record["EndpointName"])


def _runs(server: dict[str, Any]) -> bool:
    """Tell whether a server answers, or its supervisor sees to it that one will."""
    # Looked at in this order: a supervisor that gives up has written so before it ends.
    if server["Process"] and alive(ProcessId.from_record(server["Process"])):
        return True
    return alive(ProcessId.from_record(server["Group"]))


def _abandoned(pending: dict[str, Any]) -> bool:
    if pending["Group"]:
        return not alive(ProcessId.from_record(pending["Group"]))
    requested = datetime.fromisoformat(pending["RequestTime"])
    return (datetime.now(UTC) - requested).total_seconds() > _SIGN_IN_SECONDS


def _give_up(context: LocalContext, record: Record) -> Record:
    """Record that the supervisor of a deployment died, and end what it may have started."""
    name, pending = record["EndpointName"], record["Local"]["Pending"]
    reason = (
        f"The process that deployed endpoint {name!r} ended before its server was in service; "
        f"see {context.records.folder('endpoints', name) / 'supervisor.log'}."
    )
    settled = context.records.update(
        "endpoints", name, lambda record: not_deployed(record, pending["Token"], reason)
    )
    # Had it switched at the last moment, its server is the endpoint's and stays.
    serving = settled["Local"]["Server"]
    if pending["Group"] and not (serving and serving["Token"] == pending["Token"]):
        terminate_group(ProcessId.from_record(pending["Group"]), GRACE_SECONDS)
    return settled


def _last_words(context: LocalContext, record: Record, token: str) -> str:
    variant = record["ProductionVariants"][0]["VariantName"]
    deployment = Deployment(
        context=context, endpoint=record["EndpointName"], token=token, variant=variant, container={}
    )
    head = f"The model server of variant {variant} ended by itself. The end of its log:\n"
    return head + deployment.last_words()[-(FAILURE_REASON_CHARACTERS - len(head)) :]
