"""How the record of an endpoint changes: pure functions from record to record.

Beside SageMaker's fields a record has ``Local``:

- ``Pending``: the deployment in the making (``Token``, ``Group`` of its supervisor, the
  configuration and container to deploy, ``JobPython``), or None;
- ``Server``: the deployment that answers (``Token``, ``Process``, ``Group``, ``Port``), or None;
- ``Retired``: servers that were replaced and may not have ended yet.

Every change but the first names the token that it is about, so that what a late process has to
say about an older deployment changes nothing.
"""

from __future__ import annotations

from typing import Any

from platforms.local.process import ProcessId
from platforms.local.records import Record, now

_DEPLOYING = frozenset({"Creating", "Updating"})


def wants(record: Record, token: str) -> bool:
    """Tell whether the endpoint still waits for this deployment."""
    pending = record["Local"]["Pending"]
    return (
        record["EndpointStatus"] in _DEPLOYING and pending is not None and pending["Token"] == token
    )


def in_service(record: Record, token: str, server: ProcessId, port: int) -> Record:
    """Return the record with the pending deployment serving; as it was when not wanted."""
    if not wants(record, token):
        return record
    local = record["Local"]
    pending, before = local["Pending"], local["Server"]
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
        "Local": {"Pending": None, "Server": serving, "Retired": retired},
    }
    changed.pop("FailureReason", None)
    return changed


def not_deployed(record: Record, token: str, reason: str) -> Record:
    """Return the record after a deployment failed: the old server, if any, goes on serving."""
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
    owners = [local["Pending"], local["Server"], *local["Retired"]]
    return [ProcessId.from_record(each["Group"]) for each in owners if each and each.get("Group")]


def _summary(variant: dict[str, Any], pending: dict[str, Any]) -> dict[str, Any]:
    weight, count = variant.get("InitialVariantWeight", 1.0), 1
    image = pending["Container"].get("Image")
    deployed = {"SpecifiedImage": image, "ResolvedImage": image, "ResolutionTime": now()}
    return {
        "VariantName": variant["VariantName"],
        "DeployedImages": [deployed] if image else [],
        "CurrentWeight": weight,
        "DesiredWeight": weight,
        "CurrentInstanceCount": count,
        "DesiredInstanceCount": count,
    }
