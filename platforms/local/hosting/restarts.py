"""Restart a model server that ended by itself, as SageMaker does with a container.

Meanwhile the endpoint stays ``InService``, and callers get ``ServiceUnavailable``. The endpoint's
log says what happened. A server that loads its model and ends later is restarted without limit, at
most every half minute. After several failures in a row to load the model, the endpoint becomes
``Failed``.
"""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from platforms.errors import WhippetError
from platforms.local.hosting.deployment import (
    FAILURE_REASON_CHARACTERS,
    Deployment,
    DeploymentUnwanted,
)
from platforms.local.hosting.record import answers_with, down, server_lost, warm
from platforms.local.records import Missing, Record
from platforms.processes.child import Child
from platforms.processes.process import identify

# The first start follows at once: most servers end once, over one request.
DELAYS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
FAILED_STARTS = 5
# A server that answered for so long ended for an internal reason.
STEADY_SECONDS = 60.0


@dataclass(slots=True, kw_only=True)
class Restarts:
    """Watches the server of one deployment; a parent of the server, so that it learns how it ended.

    Attributes:
        server: the running server, and later those that followed it.
        delays: seconds before the first start, the second in a row, and so on; the last repeats.
        failed_starts: so many starts in a row may fail.
        pause: waits for so many seconds.
    """

    deployment: Deployment
    server: Child
    delays: tuple[float, ...] = DELAYS
    failed_starts: int = FAILED_STARTS
    pause: Callable[[float], None] = time.sleep

    def run(self) -> None:
        """Return when the endpoint has another deployment, or this one's server is given up.

        Raises:
            Missing: the endpoint was deleted.
        """
        in_a_row = 0
        while True:
            began = time.monotonic()
            status = self.server.wait()
            if time.monotonic() - began >= STEADY_SECONDS:
                in_a_row = 0
            if not self._wanted():
                return
            self._update(lambda record: down(record, self.deployment.token))
            if not self._start_again(_ending(status), in_a_row):
                return
            in_a_row += 1

    def _start_again(self, ending: str, in_a_row: int) -> bool:
        """Tell whether a server answers again: one of several that were started, if need be."""
        for failures in range(self.failed_starts):
            delay = self.delays[min(in_a_row + failures, len(self.delays) - 1)]
            self._say(f"the model server ended ({ending}); it will be restarted in {delay:g} s")
            self.pause(delay)
            try:
                self._start()
            except DeploymentUnwanted:
                return False
            except (WhippetError, OSError) as error:
                end_server(self.server)
                ending = str(error).partition("\n")[0]
            else:
                self._say(f"the model server answers again (process {self.server.pid})")
                return True
        self._give_up(ending)
        return False

    def _start(self) -> None:
        deployment = self.deployment
        # Of the server before: they would be taken for this one's.
        deployment.port_file.unlink(missing_ok=True)
        deployment.failure_file.unlink(missing_ok=True)
        if not self._wanted():
            raise DeploymentUnwanted(f"endpoint {deployment.endpoint!r} has another deployment")
        self.server = deployment.start(wanted=self._wanted)
        port = deployment.wait_until_healthy(self.server, self._wanted)
        process = identify(self.server.pid)
        self._update(lambda record: warm(record, deployment.token, process, port))

    def _give_up(self, ending: str) -> None:
        head = (
            f"The model server of variant {self.deployment.variant} ended by itself and could "
            f"not be restarted in {self.failed_starts} tries ({ending}). The end of its log:\n"
        )
        reason = head + self.deployment.last_words()[-(FAILURE_REASON_CHARACTERS - len(head)) :]
        self._say(f"giving up on the model server after {self.failed_starts} tries")
        self._update(lambda record: server_lost(record, self.deployment.token, reason))

    def _wanted(self) -> bool:
        records, name = self.deployment.context.records, self.deployment.endpoint
        return answers_with(records.read("endpoints", name), self.deployment.token)

    def _update(self, change: Callable[[Record], Record]) -> None:
        self.deployment.context.records.update("endpoints", self.deployment.endpoint, change)

    def _say(self, what: str) -> None:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        try:
            with self.deployment.log.open("a", encoding="utf-8") as log:
                log.write(f"{moment} whippet: {what}\n")
        except FileNotFoundError as error:
            # The folder goes with the endpoint.
            raise Missing(f"endpoint {self.deployment.endpoint!r} was deleted") from error


def end_server(server: Child | None, grace_seconds: float = 30.0) -> None:
    """End the server alone: its group is ours."""
    if server is None or server.poll() is not None:
        return
    server.send_signal(signal.SIGTERM)
    try:
        server.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        server.send_signal(signal.SIGKILL)
        server.wait()


def _ending(status: int) -> str:
    if status >= 0:
        return f"exit code {status}"
    return f"killed by {signal.Signals(-status).name}"
