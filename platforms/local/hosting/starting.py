"""Start the supervisor of a deployment: by its creator, or by whoever finds that one dead."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from platforms.local.context import LocalContext
from platforms.local.hosting.record import supervised
from platforms.local.records import Missing, Record
from platforms.local.supervision import start_supervisor
from platforms.local.warm_start.kind import server_kind
from platforms.processes.process import ProcessId, alive

_SUPERVISOR = "platforms.local.hosting.supervisor"


def start_deployment(context: LocalContext, name: str, pending: Mapping[str, Any]) -> None:
    """Start the supervisor of an endpoint's deployment, and note it: one that dies before it can
    say a word is found dead, not waited for.

    Raises:
        ProcessError: it cannot be started.
    """
    group, token = _supervisor(context, name, pending).to_record(), pending["Token"]
    # Deleted meanwhile: then its supervisor ends by itself.
    with suppress(Missing):
        context.records.update(
            "endpoints", name, lambda newest: supervised(newest, token, group=group)
        )


def _supervisor(context: LocalContext, name: str, pending: Mapping[str, Any]) -> ProcessId:
    folder = context.records.folder("endpoints", name)
    kind = server_kind(context, pending["Container"].get("Environment", {}))
    return start_supervisor(
        [_SUPERVISOR, str(context.home), name, pending["Token"]],
        log=folder / "supervisor.log",
        s3_endpoint=context.settings.s3_endpoint,
        warm=None if kind is None else kind.folder,
    )


def left_unstarted(record: Record) -> bool:
    """Say whether a deployment waits for a supervisor that its creator did not live to start."""
    pending = record["Local"]["Pending"]
    if pending is None or pending["Group"] is not None:
        return False
    starter = pending.get("Starter")  # earlier versions did not note it
    return starter is not None and not alive(ProcessId.from_record(starter))


def with_supervisor(context: LocalContext, newest: Record) -> Record:
    """Return the record with a supervisor for what nobody starts; under the record's lock, so that
    one of many callers starts it. One that the dead creator did start finds this one, and ends.
    """
    if not left_unstarted(newest):
        return newest
    pending = newest["Local"]["Pending"]
    group = _supervisor(context, newest["EndpointName"], pending).to_record()
    return supervised(newest, pending["Token"], group=group)
