"""The queue of an asynchronous endpoint: a folder of requests, processed by one worker.

Each request is one file, written atomically and removed when its answer or its failure is in the
bucket. A killed worker therefore costs a second attempt, but never a request.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platforms.client_errors import response_metadata
from platforms.local.context import LocalContext, supervisor_environment
from platforms.local.hosting.model_calls import runtime_error
from platforms.local.records import write_json
from platforms.locks import held, held_if_free
from platforms.processes.process import spawn_detached
from platforms.settings import PROJECT_ROOT

_WORKER = "platforms.local.hosting.async_worker"
# SageMaker's own: how long a request may wait, and how long the model may take.
_DEFAULT_TTL_SECONDS, _DEFAULT_TIMEOUT_SECONDS = 21_600, 900


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncQueue:
    """The requests that an asynchronous endpoint has not answered yet."""

    context: LocalContext
    endpoint: str

    @property
    def folder(self) -> Path:
        """Where the requests lie, the oldest first by name."""
        return self.context.records.folder("endpoints", self.endpoint) / "queue"

    @property
    def gate(self) -> Path:
        """The lock held while adding a request, or while the worker finds none and leaves."""
        return self.folder / "gate.lock"

    @property
    def worker_lock(self) -> Path:
        """The lock that a worker holds as long as it takes requests."""
        return self.folder / "worker.lock"

    def put(self, request: Mapping[str, Any], output: Mapping[str, str]) -> dict[str, Any]:
        """Add a request, ensure that a worker runs, and return the operation's answer.

        Raises:
            ClientError: ``ValidationError``, it names no input.
        """
        if "InputLocation" not in request:
            raise runtime_error(
                400,
                "ValidationError",
                "InputLocation is missing: here a body must be an object in S3.",
            )
        name, received = str(uuid.uuid4()), time.time()
        item: dict[str, Any] = {
            "Request": dict(request),
            "OutputLocation": f"{output['S3OutputPath'].rstrip('/')}/{name}.out",
            "Expires": received + request.get("RequestTTLSeconds", _DEFAULT_TTL_SECONDS),
            "Seconds": request.get("InvocationTimeoutSeconds", _DEFAULT_TIMEOUT_SECONDS),
        }
        if "S3FailurePath" in output:
            item["FailureLocation"] = f"{output['S3FailurePath'].rstrip('/')}/{name}-error.out"
        # Never the endpoint's own folder: a deleted endpoint must not come back as an empty one.
        self.folder.mkdir(exist_ok=True)
        with held(self.gate):
            write_json(self.folder / f"{time.time_ns():020d}-{name}.json", item)
            nobody_works = self._nobody_works()
        if nobody_works:
            self._start_worker()
        places: dict[str, Any] = {
            key: item[key] for key in ("OutputLocation", "FailureLocation") if key in item
        }
        metadata = response_metadata(202, RequestId=name)
        inference = request.get("InferenceId", name)
        return {"ResponseMetadata": metadata, "InferenceId": inference, **places}

    def wake(self) -> None:
        """Ensure that a worker runs if a request waits; the queue of no other kind exists."""
        if not self.waiting():
            return
        with held(self.gate):
            nobody_works = self._nobody_works()
        if nobody_works:
            self._start_worker()

    def _nobody_works(self) -> bool:
        with held_if_free(self.worker_lock) as free:
            return free

    def waiting(self) -> list[Path]:
        """Return the files of the requests that are not answered, the oldest first."""
        return sorted(self.folder.glob("[0-9]*.json"))

    def _start_worker(self) -> None:
        settings = self.context.settings
        spawn_detached(
            [sys.executable, "-m", _WORKER, str(self.context.home), self.endpoint],
            env={
                **supervisor_environment(os.environ, s3_endpoint=settings.s3_endpoint),
                **({"WHIPPET_REGION": settings.region} if settings.region else {}),
                **({"WHIPPET_S3_ENDPOINT": settings.s3_endpoint} if settings.s3_endpoint else {}),
            },
            log=self.folder.with_name("async.log"),
            cwd=PROJECT_ROOT,
        )
