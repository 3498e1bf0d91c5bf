"""What became of an endpoint since its record was written: processes die without a word.

Whoever looks at an endpoint settles it: a deployment whose creator died before it started a
supervisor gets one, one whose supervisor died is given up, a server that ended is noticed, and a
delete whose process was killed is finished.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from platforms.local.context import LOGGER, LocalContext
from platforms.local.hosting.deployment import FAILURE_REASON_CHARACTERS, Deployment
from platforms.local.hosting.errors import as_client_error
from platforms.local.hosting.record import groups, lost, not_deployed, server_lost, wants
from platforms.local.hosting.starting import left_unstarted, with_supervisor
from platforms.local.hosting.supervisor import end_deployment
from platforms.local.records import Missing, Record
from platforms.processes.process import ProcessId, alive

# A deployment whose supervisor never signed in though its creator lives.
_SIGN_IN_SECONDS = 60.0


def settle_endpoint(context: LocalContext, operation: str, name: str) -> Record:
    """Return an endpoint's record, updated for processes that died since it was written.

    Raises:
        ClientError: ``ValidationException``, there is no such endpoint.
    """
    with as_client_error(context, operation, "endpoints", name):
        return settled(context, name)


def settled(context: LocalContext, name: str) -> Record:
    """Return what :func:`settle_endpoint` returns.

    Raises:
        Missing: there is no such endpoint.
    """
    record = context.records.read("endpoints", name)
    if record["EndpointStatus"] == "Deleting" and _deleter_is_gone(record):
        end_and_forget(context, record)
        raise Missing(f"endpoint {name!r} was deleted")
    if left_unstarted(record):
        return context.records.update(
            "endpoints", name, lambda newest: with_supervisor(context, newest)
        )
    pending, server = record["Local"]["Pending"], record["Local"]["Server"]
    if pending and _abandoned(pending):
        return _give_up(context, record)
    # A serverless deployment without a process only waits for somebody to ask.
    fixed = server and "Deployment" not in server
    if record["EndpointStatus"] == "InService" and fixed and not _runs(server):
        reason = _last_words(context, record, server["Token"])
        return context.records.update(
            "endpoints",
            name,
            lambda record: lost(
                server_lost(record, server["Token"], reason), record["Local"].get("Deployed")
            ),
        )
    return record


def _deleter_is_gone(record: Record) -> bool:
    deleter = record["Local"].get("Deleter")
    return deleter is None or not alive(ProcessId.from_record(deleter))


def end_and_forget(context: LocalContext, record: Record) -> None:
    """End every process of an endpoint, then remove its record; safe to repeat after a kill."""
    for group in groups(record):
        end_deployment(group)
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

    def give_up(newest: Record) -> Record:
        if not wants(newest, pending["Token"]):
            return newest
        return lost(not_deployed(newest, pending["Token"], reason), newest["Local"]["Pending"])

    settled = context.records.update("endpoints", name, give_up)
    # Had it switched at the last moment, its server is the endpoint's and stays.
    serving = settled["Local"]["Server"]
    if pending["Group"] and not (serving and serving["Token"] == pending["Token"]):
        end_deployment(ProcessId.from_record(pending["Group"]))
    return settled


def _last_words(context: LocalContext, record: Record, token: str) -> str:
    variant = record["ProductionVariants"][0]["VariantName"]
    deployment = Deployment(
        context=context, endpoint=record["EndpointName"], token=token, variant=variant, container={}
    )
    head = f"The model server of variant {variant} ended by itself. The end of its log:\n"
    return head + deployment.last_words()[-(FAILURE_REASON_CHARACTERS - len(head)) :]
