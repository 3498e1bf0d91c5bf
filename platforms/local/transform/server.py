"""The model server of one transform job: the program that serves endpoints, in the job's folder."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from platforms.local.context import LocalContext
from platforms.local.hosting.deployment import (
    FAILURE_REASON_CHARACTERS,
    Deployment,
    DeploymentFailed,
)
from platforms.local.hosting.last_words import shortened
from platforms.local.records import Record
from platforms.local.transform.record import KIND
from platforms.local.transform.request import TransformPlan
from platforms.processes.child import Child
from platforms.processes.marks import end_marked
from platforms.processes.process import identify

# A server that ends this often has a fault that no new start mends.
_MAX_STARTS = 4


class TransformServer(Deployment):
    """A deployment that belongs to a transform job, not to an endpoint."""

    @property
    def folder(self) -> Path:
        """The folder of the job's model."""
        return self.context.records.folder(KIND, self.endpoint) / "server"

    @property
    def log(self) -> Path:
        """The job's own log: what the model prints is what a person looks for there."""
        return self.folder.with_name("log.txt")

    def reason(self, what: str) -> str:
        """Return why the model does not start: the service's code, then the user's traceback."""
        head = f"AlgorithmError: the model server did not start ({what}).\n"
        return head + shortened(self.last_words(), FAILURE_REASON_CHARACTERS - len(head))


def server_of(context: LocalContext, record: Record, plan: TransformPlan) -> TransformServer:
    """Return the server of a transform job, with the variables that the service sets for it."""
    container = record["Local"]["Container"]
    megabytes = (plan.payload_bytes or 0) // 1024**2
    environment: Mapping[str, Any] = {
        **container.get("Environment", {}),
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": str(megabytes),
        "SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD" if plan.packed else "SINGLE_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": str(plan.concurrency),
        **record.get("Environment", {}),
    }
    return TransformServer(
        context=context,
        endpoint=record["TransformJobName"],
        token="server",
        variant="AllTraffic",
        container={**container, "Environment": environment},
    )


class RunningServer:
    """A model server that is started again when it ends by itself, a few times."""

    def __init__(self, deployment: TransformServer, wanted: Callable[[], bool]) -> None:
        self._deployment = deployment
        self._wanted = wanted
        self._process: Child | None = None
        self._starts = 0
        self._port = 0

    def url(self) -> str:
        """Return where to send requests, starting a server if there is none; one thread at a time.

        Raises:
            DeploymentFailed: it does not start, or ended too often. DeploymentUnwanted: the job is
            stopping.
        """
        if self._process is None or self._process.poll() is not None:
            if self._starts >= _MAX_STARTS:
                raise DeploymentFailed(self._deployment.reason(f"it ended {self._starts} times"))
            self._starts += 1
            self._deployment.port_file.unlink(missing_ok=True)
            self._process = self._deployment.start(wanted=self._wanted)
            self._port = self._deployment.wait_until_healthy(self._process, self._wanted)
        return f"http://127.0.0.1:{self._port}/invocations"

    def end(self) -> None:
        """End the server at once: it holds nothing that must be saved."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        end_marked(identify(os.getpid()).mark)
