"""How the record of an endpoint changes: pure functions from record to record.

In addition to SageMaker's fields a record has ``Local``:

- ``Pending``: the deployment in the making (``Token``, ``Starter``, who asked for it, ``Group`` of
  its supervisor, the configuration and container to deploy, ``JobPython``), or None;
- ``Server``: the deployment that answers (``Token``, ``Process``, ``Group``, ``Port``), or None. It
  has no process and no port while a server that ended is being restarted; a serverless one also has
  ``Deployment``, what to start, and no process while it is idle;
- ``Worker``: the process (``Group``) that works off an asynchronous endpoint's queue, if any;
- ``Retired``: replaced servers that may not have ended yet;
- ``Deleter``: the process that deletes the endpoint, if any;
- ``Deployed``: the deployment that was last in service, as it was in ``Pending``;
- ``Lost``: the deployment that a failed endpoint had, or was to have, when its processes were
  killed or the machine restarted: nothing is known against it, and it can be revived.

Every change but the first names the token it applies to, so a late message about an older
deployment changes nothing.
"""

from __future__ import annotations

from typing import Any

from platforms.endpoint_kinds import endpoint_kind
from platforms.local.hosting.kinds import CONFIG_MEMBERS, hosted_kind
from platforms.local.records import Record, now
from platforms.processes.process import ProcessId

_DEPLOYING = frozenset({"Creating", "Updating"})
_ANSWERING = frozenset({"InService", "Updating"})
_NOTHING_RUNS: dict[str, Any] = {"Group": None, "Process": None, "Port": None}


def wants(record: Record, token: str) -> bool:
    """Tell whether the endpoint still waits for this deployment."""
    pending = record["Local"]["Pending"]
    return (
        record["EndpointStatus"] in _DEPLOYING and pending is not None and pending["Token"] == token
    )


def supervised(record: Record, token: str, *, group: dict[str, Any]) -> Record:
    """Return the record with the supervisor of its pending deployment, unless it has one."""
    if not wants(record, token) or record["Local"]["Pending"]["Group"] is not None:
        return record
    pending = {**record["Local"]["Pending"], "Group": group}
    return {**record, "Local": {**record["Local"], "Pending": pending}}


def updating(record: Record, pending: dict[str, Any]) -> Record:
    """Return the record with a deployment that is to follow the one that serves."""
    kept = {key: value for key, value in record.items() if key != "FailureReason"}
    return {
        **kept,
        "EndpointStatus": "Updating",
        "LastModifiedTime": now(),
        "Local": {**record["Local"], "Pending": pending},
    }


def deleting(record: Record, deleter: ProcessId) -> Record:
    """Return the record of an endpoint that a process has begun to delete."""
    return {
        **record,
        "EndpointStatus": "Deleting",
        "LastModifiedTime": now(),
        "Local": {**record["Local"], "Deleter": deleter.to_record()},
    }


def in_service(record: Record, token: str, server: ProcessId | None, port: int) -> Record:
    """Return the record with the pending deployment serving; unchanged if it is not wanted. Without
    a ``server`` it is serverless: the first call starts one.
    """
    if not wants(record, token):
        return record
    local = record["Local"]
    pending, before = local["Pending"], local["Server"]
    if server is None:
        serving = {"Token": token, **_NOTHING_RUNS, "Deployment": pending}
    else:
        serving = {
            "Token": token,
            "Group": pending["Group"],
            "Process": server.to_record(),
            "Port": port,
        }
    retired = [*local["Retired"], *([before] if before else [])]
    changed = {
        **record,
        "EndpointStatus": "InService",
        "EndpointConfigName": pending["EndpointConfigName"],
        "ProductionVariants": [_summary(each, pending) for each in pending["ProductionVariants"]],
        "LastModifiedTime": now(),
        "Local": {
            **local,
            "Pending": None,
            "Server": serving,
            "Retired": retired,
            "Deployed": pending,
        },
    }
    for member in ("FailureReason", *CONFIG_MEMBERS):
        changed.pop(member, None)
    return changed | {each: pending[each] for each in CONFIG_MEMBERS if pending.get(each)}


def with_starter(record: Record, token: str, group: ProcessId) -> Record:
    """Return the record with a process that starts the serverless deployment's server."""
    return _with_server(record, token, {**_NOTHING_RUNS, "Group": group.to_record()})


def answers_with(record: Record, token: str) -> bool:
    """Tell whether the endpoint answers with this deployment, whether its server runs or not."""
    server = record["Local"]["Server"]
    return (
        record["EndpointStatus"] in _ANSWERING and server is not None and server["Token"] == token
    )


def down(record: Record, token: str) -> Record:
    """Return the record with no running server: it ended, and is started again."""
    return _with_server(record, token, {"Process": None, "Port": None})


def warm(record: Record, token: str, server: ProcessId, port: int) -> Record:
    """Return the record with a running server of the deployment that answers."""
    return _with_server(record, token, {"Process": server.to_record(), "Port": port})


def cold(record: Record, token: str, group: ProcessId) -> Record:
    """Return the record without a server; unchanged if another was started since."""
    server = record["Local"]["Server"]
    if server is None or server["Group"] != group.to_record():
        return record
    return _with_server(record, token, _NOTHING_RUNS)


def with_worker(record: Record, group: ProcessId) -> Record:
    """Return the record with a process that processes the queue; unchanged if none is wanted."""
    queued = endpoint_kind(record) == "asynchronous"
    if record["EndpointStatus"] not in _ANSWERING or not queued:
        return record
    return {**record, "Local": {**record["Local"], "Worker": {"Group": group.to_record()}}}


def _with_server(record: Record, token: str, change: dict[str, Any]) -> Record:
    if not answers_with(record, token):
        return record
    server = record["Local"]["Server"]
    return {**record, "Local": {**record["Local"], "Server": {**server, **change}}}


def lost(record: Record, deployment: dict[str, Any] | None) -> Record:
    """Return the record with the deployment that may be revived, if it failed.

    For whoever finds that an endpoint's processes are gone; not for who knows that they failed.
    """
    if record["EndpointStatus"] != "Failed":
        return record
    return {**record, "Local": {**record["Local"], "Lost": deployment}}


def revived(record: Record, token: str, *, starter: ProcessId) -> Record:
    """Return the record with its lost deployment pending again, under a new token.

    Unchanged if there is none: somebody else revived it, or it never answered.
    """
    local = record["Local"]
    deployment = local.get("Lost")
    if record["EndpointStatus"] != "Failed" or deployment is None:
        return record
    before = [local["Server"]] if local["Server"] else []
    asked = {"Token": token, "Starter": starter.to_record(), "RequestTime": now()}
    again = {**deployment, **asked, "Group": None}
    kept = {key: value for key, value in record.items() if key != "FailureReason"}
    return {
        **kept,
        "EndpointStatus": "Creating",
        "LastModifiedTime": now(),
        "Local": {
            **local,
            "Pending": again,
            "Server": None,
            "Retired": [*local["Retired"], *before],
            "Lost": None,
        },
    }


def not_deployed(record: Record, token: str, reason: str) -> Record:
    """Return the record after a deployment failed: the old server, if any, keeps serving."""
    if not wants(record, token):
        return record
    return {
        **record,
        "EndpointStatus": "InService" if record["Local"]["Server"] else "Failed",
        "FailureReason": reason,
        "LastModifiedTime": now(),
        "Local": {**record["Local"], "Pending": None},
    }


def server_lost(record: Record, token: str, reason: str) -> Record:
    """Return the record after the serving process ended by itself."""
    server = record["Local"]["Server"]
    if record["EndpointStatus"] != "InService" or server is None or server["Token"] != token:
        return record
    return {
        **record,
        "EndpointStatus": "Failed",
        "FailureReason": reason,
        "LastModifiedTime": now(),
    }


def groups(record: Record) -> list[ProcessId]:
    """Return every process group that may still belong to the endpoint."""
    local = record["Local"]
    owners = [local["Pending"], local["Server"], *local["Retired"], local.get("Worker")]
    return [ProcessId.from_record(each["Group"]) for each in owners if each and each.get("Group")]


def _summary(variant: dict[str, Any], pending: dict[str, Any]) -> dict[str, Any]:
    weight = variant.get("InitialVariantWeight", 1.0)
    image = pending["Container"].get("Image")
    deployed = {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": now()}
    return {
        **hosted_kind(pending).in_service(variant),
        "VariantName": variant["VariantName"],
        "DeployedImages": [deployed] if image else [],
        "CurrentWeight": weight,
        "DesiredWeight": weight,
    }
