"""Calls of serverless endpoints: the first call starts the server; concurrency is limited.

A call holds one of ``MaxConcurrency`` locks in the deployment's folder, and shares the lock ``use``
with the other calls. :mod:`platforms.local.hosting.serverless_supervisor` ends the server when it
gets that lock exclusively and there has been no call for a while. The kernel releases all locks
when a caller dies.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from platforms.local.context import LocalContext
from platforms.local.hosting.deployment import Deployment
from platforms.local.hosting.model_calls import model_error, runtime_error
from platforms.local.hosting.supervisor import deployment_of
from platforms.local.records import Missing, Record
from platforms.local.supervision import start_supervisor
from platforms.locks import held, held_if_free
from platforms.processes.process import ProcessId, alive

USE_LOCK = "use.lock"
# AWS does not say when it lets a worker go; reports are of several minutes.
IDLE_SECONDS = 300.0
_SUPERVISOR = "platforms.local.hosting.serverless_supervisor"
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerlessCalls:
    """Gives the address of a serverless endpoint's server, started if need be."""

    context: LocalContext
    idle_seconds: float = IDLE_SECONDS

    @contextmanager
    def address(self, record: Record, seconds: float) -> Iterator[str]:
        """Give the URL to POST to, for one call; ``seconds`` bound a cold start.

        Raises:
            ClientError: ``ThrottlingException``, ``ModelError`` (the server does not start) or
                ``ServiceUnavailable`` (deployed anew or deleted in this moment).
        """
        name, server = record["EndpointName"], record["Local"]["Server"]
        deployment = deployment_of(self.context, name, server["Deployment"])
        limit = record["ProductionVariants"][0]["CurrentServerlessConfig"]["MaxConcurrency"]
        try:
            with _slot(deployment.folder, limit), held(_use(deployment.folder), shared=True):
                try:
                    yield f"http://127.0.0.1:{self._port(deployment, seconds)}/invocations"
                finally:
                    os.utime(_use(deployment.folder))
        except (FileNotFoundError, Missing) as error:
            raise runtime_error(
                503, "ServiceUnavailable", f"Endpoint {name} was redeployed or deleted."
            ) from error

    def _port(self, deployment: Deployment, seconds: float) -> int:
        port = self._warm_port(deployment)
        if port is not None:
            return port
        # One caller starts it; the others find it warm when their turn comes.
        with held(deployment.folder / "start.lock"):
            return self._warm_port(deployment) or self._start(deployment, seconds)

    def _warm_port(self, deployment: Deployment) -> int | None:
        server = self.context.records.read("endpoints", deployment.endpoint)["Local"]["Server"]
        if server["Token"] != deployment.token:
            raise Missing(f"endpoint {deployment.endpoint!r} was redeployed")
        if server["Process"] is None or not alive(ProcessId.from_record(server["Process"])):
            return None
        port: int = server["Port"]
        return port

    def _start(self, deployment: Deployment, seconds: float) -> int:
        settings = deployment.context.settings
        which = (deployment.endpoint, deployment.token, str(self.idle_seconds))
        supervisor = start_supervisor(
            [_SUPERVISOR, str(self.context.home), *which],
            log=deployment.folder / "supervisor.log",
            s3_endpoint=settings.s3_endpoint,
        )
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and alive(supervisor):
            port = self._warm_port(deployment)
            if port is not None:
                return port
            time.sleep(_POLL_SECONDS)
        why = "the worker did not start in time" if alive(supervisor) else deployment.last_words()
        raise model_error(deployment.endpoint, 0, why)


@contextmanager
def _slot(folder: Path, count: int) -> Iterator[None]:
    """Hold one of ``count`` places of calls."""
    with ExitStack() as stack:
        for number in range(count):
            if stack.enter_context(held_if_free(folder / f"call-{number}.lock")):
                break
        else:
            raise runtime_error(429, "ThrottlingException", "Rate exceeded")
        yield


def _use(folder: Path) -> Path:
    return folder / USE_LOCK
