"""Bring one deployment of an endpoint into service, and restart its server when it ends.

Run as ``python -m platforms.local.hosting.supervisor HOME ENDPOINT TOKEN``. The model server is in
this process's group, so a deployment is ended by signalling the group, whether or not this process
still runs. Killed while it deploys, it leaves a record that reads as a deployment whose supervisor
died; killed later, it leaves the server, which answers but is not restarted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platforms.errors import WhippetError
from platforms.local.context import LocalContext, local_context, recorded_context
from platforms.local.copies import remove_tree
from platforms.local.hosting.async_queue import AsyncQueue
from platforms.local.hosting.deployment import (
    DEFAULT_STARTUP_SECONDS,
    FAILURE_REASON_CHARACTERS,
    Deployment,
    DeploymentFailed,
    DeploymentUnwanted,
)
from platforms.local.hosting.kinds import hosted_kind
from platforms.local.hosting.record import in_service, not_deployed, supervised, wants
from platforms.local.hosting.restarts import Restarts, end_server
from platforms.local.records import Missing, Record
from platforms.local.warm_start.child import WarmChild
from platforms.local.warm_start.start import WarmStart
from platforms.processes.child import Child
from platforms.processes.marks import end_marked
from platforms.processes.process import ProcessId, identify, terminate_group
from platforms.settings import Settings
from sm_entrypoints.contract.kill_points import play, reach

# What SageMaker allows a container between SIGTERM and SIGKILL.
GRACE_SECONDS = 30.0


def main(home: Path, endpoint: str, token: str) -> None:
    """Deploy what the endpoint's record wants under ``token``; do nothing when it does not."""
    play("endpoint supervisor")
    context, child = local_context(Settings(home=home)), WarmChild.inherited(os.environ)
    try:
        record = _claim(context, endpoint, token)
        if not wants(record, token) or not _is_ours(record):
            return
        pending = record["Local"]["Pending"]
        deployment = deployment_of(context, endpoint, pending)
        warm = WarmStart(child, stopped=lambda: not _wanted(deployment))
        server = _deploy(deployment, warm, keeps_server=hosted_kind(pending).keeps_server)
        if server is not None:
            # Requests may have waited since the machine was shut down.
            AsyncQueue(context=context, endpoint=endpoint).wake()
            Restarts(deployment=deployment, server=server).run()
    except Missing:
        return  # Deleted meanwhile; what runs was ended by whoever deleted it, or just now.


def _claim(context: LocalContext, endpoint: str, token: str) -> Record:
    ours = identify(os.getpid()).to_record()

    # Unchanged, if whoever looked at a deployment that seemed unstarted has started another one.
    return context.records.update(
        "endpoints", endpoint, lambda record: supervised(record, token, group=ours)
    )


def _is_ours(record: Record) -> bool:
    group = record["Local"]["Pending"]["Group"]
    return group is not None and ProcessId.from_record(group) == identify(os.getpid())


def deployment_of(context: LocalContext, endpoint: str, pending: Mapping[str, Any]) -> Deployment:
    """Return the deployment that ``Pending`` of an endpoint's record describes."""
    variant = pending["ProductionVariants"][0]
    return Deployment(
        context=recorded_context(context.home, pending),
        endpoint=endpoint,
        token=pending["Token"],
        variant=variant["VariantName"],
        container=pending["Container"],
        startup_seconds=variant.get(
            "ContainerStartupHealthCheckTimeoutInSeconds", DEFAULT_STARTUP_SECONDS
        ),
    )


def _deploy(deployment: Deployment, warm: WarmStart, *, keeps_server: bool) -> Child | None:
    """Return the server that answers for the endpoint from now on; None when none does."""
    server: Child | None = None
    try:
        deployment.prepare()
        reach("server: start")
        server = deployment.start(warm, lambda: _wanted(deployment))
        reach("server: started")
        port = deployment.wait_until_healthy(server, lambda: _wanted(deployment))
        if not keeps_server:
            # It has shown that it starts; the first who asks starts it again.
            end_server(server)
            _switch(deployment, None, port)
        else:
            _switch(deployment, identify(server.pid), port)
            return server
    except DeploymentUnwanted:
        end_server(server)
        remove_tree(deployment.folder)
    except Missing:
        end_server(server)
    except (WhippetError, OSError) as error:
        end_server(server)
        _record_failure(deployment, error)
    return None


def _wanted(deployment: Deployment) -> bool:
    return wants(
        deployment.context.records.read("endpoints", deployment.endpoint), deployment.token
    )


def _switch(deployment: Deployment, server: ProcessId | None, port: int) -> None:
    """Point the endpoint at the new server in one step, then end the old one."""
    records, name, token = deployment.context.records, deployment.endpoint, deployment.token
    record = records.update(
        "endpoints",
        name,
        lambda record: in_service(record, token, server, port),
    )
    if not record["Local"]["Server"] or record["Local"]["Server"]["Token"] != token:
        raise DeploymentUnwanted(f"endpoint {name!r} does not want {token}")
    for retired in record["Local"]["Retired"]:
        if retired["Group"]:
            end_deployment(ProcessId.from_record(retired["Group"]))
        remove_tree(deployment.folder.with_name(retired["Token"]))

    def forget(record: Record) -> Record:
        return {**record, "Local": {**record["Local"], "Retired": []}}

    if record["Local"]["Retired"]:
        records.update("endpoints", name, forget)


def end_deployment(group: ProcessId) -> None:
    """End a supervisor with its server, and what that one's handlers left in other sessions."""
    terminate_group(group, GRACE_SECONDS)
    end_marked(group.mark)


def _record_failure(deployment: Deployment, error: Exception) -> None:
    reason = str(error)
    if not isinstance(error, DeploymentFailed):
        reason = f"The model of endpoint {deployment.endpoint!r} cannot be deployed: {error}"
    deployment.discard_model()
    deployment.context.records.update(
        "endpoints",
        deployment.endpoint,
        lambda record: not_deployed(record, deployment.token, reason[:FAILURE_REASON_CHARACTERS]),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
