"""Run a serverless endpoint's server while there are calls, and end it once it is idle.

Run as ``python -m platforms.local.hosting.serverless_supervisor HOME ENDPOINT TOKEN IDLE_SECONDS``.
The server is in this process's group. Killed at any time, it leaves either a server that answers
until the endpoint is deleted, or none: then the next call starts another.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from platforms.errors import WhippetError
from platforms.local.context import local_context
from platforms.local.hosting.deployment import Deployment
from platforms.local.hosting.record import cold, warm, with_starter
from platforms.local.hosting.restarts import end_server
from platforms.local.hosting.serverless import USE_LOCK
from platforms.local.hosting.supervisor import deployment_of
from platforms.local.records import Missing, Record
from platforms.locks import held_if_free
from platforms.processes.child import Child
from platforms.processes.process import ProcessId, identify
from platforms.settings import Settings
from sm_entrypoints.contract.kill_points import play

_POLL_SECONDS = 0.2


def main(home: Path, endpoint: str, token: str, idle_seconds: float) -> None:
    """Serve the endpoint's deployment ``token``; do nothing when it has another by now."""
    play("serverless supervisor")
    context, ours = local_context(Settings(home=home)), identify(os.getpid())
    try:
        record = context.records.update(
            "endpoints", endpoint, lambda record: with_starter(record, token, ours)
        )
        if not _is_served_by(record, ours):
            return
        pending = record["Local"]["Server"]["Deployment"]
        _serve(deployment_of(context, endpoint, pending), ours, idle_seconds)
    except Missing:
        return  # Deleted meanwhile, and our group is ended by whoever did it.


def _serve(deployment: Deployment, ours: ProcessId, idle_seconds: float) -> None:
    # Of the server before: they would be taken for this one's.
    deployment.port_file.unlink(missing_ok=True)
    deployment.failure_file.unlink(missing_ok=True)
    records, name = deployment.context.records, deployment.endpoint
    server: Child | None = None

    def wanted() -> bool:
        return _is_served_by(records.read("endpoints", name), ours)

    try:
        server = deployment.start(wanted=wanted)
        port = deployment.wait_until_healthy(server, wanted)
        process = identify(server.pid)
        records.update("endpoints", name, lambda r: warm(r, deployment.token, process, port))
        _wait_until_idle(deployment, server, ours, idle_seconds)
    except WhippetError as error:
        # Whoever asked finds the reason in the server's own last words.
        print(error, file=sys.stderr, flush=True)
    finally:
        end_server(server)
        records.update("endpoints", name, lambda r: cold(r, deployment.token, ours))


def _wait_until_idle(
    deployment: Deployment, server: Child, ours: ProcessId, idle_seconds: float
) -> None:
    """Return after that long without a call, when no call can get this server any more."""
    use, records = deployment.folder / USE_LOCK, deployment.context.records
    while server.poll() is None:
        time.sleep(_POLL_SECONDS)
        with held_if_free(use) as free:
            if free and time.time() - use.stat().st_mtime >= idle_seconds:
                records.update(
                    "endpoints", deployment.endpoint, lambda r: cold(r, deployment.token, ours)
                )
                return


def _is_served_by(record: Record, ours: ProcessId) -> bool:
    server = record["Local"]["Server"]
    return server is not None and server["Group"] == ours.to_record()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4]))
