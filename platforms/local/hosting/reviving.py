"""Bring endpoints back whose processes are gone: the machine restarted, or all were killed.

Not those whose model server failed by itself: it would fail again.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from functools import partial

from platforms.local.context import LocalContext
from platforms.local.hosting.record import not_deployed, revived
from platforms.local.hosting.settling import settled
from platforms.local.hosting.starting import start_deployment
from platforms.local.records import Missing
from platforms.processes.process import ProcessError, identify


def lost_endpoints(context: LocalContext) -> list[str]:
    """Return the names of the endpoints that can be revived, by name."""
    names = []
    for name in context.records.names("endpoints"):
        with suppress(Missing):  # Deleted since the listing.
            record = settled(context, name)
            if record["EndpointStatus"] == "Failed" and record["Local"].get("Lost"):
                names.append(name)
    return names


def revive_endpoint(context: LocalContext, name: str) -> bool:
    """Deploy what a lost endpoint served; it is ``Creating`` until its server answers.

    False when it is not lost, or not any more; of two who revive it at once one does.

    Raises:
        ProcessError: nothing can be started; it can be tried again.
    """
    token, ours = secrets.token_hex(8), identify(os.getpid())
    change = partial(revived, token=token, starter=ours)
    try:
        record = context.records.update("endpoints", name, change)
    except Missing:
        return False
    pending = record["Local"]["Pending"]
    if pending is None or pending["Token"] != token:
        return False
    try:
        start_deployment(context, name, pending)
    except ProcessError as error:
        reason = str(error)
        context.records.update(
            "endpoints",
            name,
            lambda newest: {
                **not_deployed(newest, token, reason),
                "Local": {**newest["Local"], "Pending": None, "Lost": pending},
            },
        )
        raise
    return True
