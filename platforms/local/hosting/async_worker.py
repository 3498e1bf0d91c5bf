"""Process the queue of an asynchronous endpoint, then end.

Run as ``python -m platforms.local.hosting.async_worker HOME ENDPOINT``. Only one worker takes
requests at a time; a second one ends at once. Killed at any time, it leaves the unanswered requests
in the queue.
"""

from __future__ import annotations

import json
import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from botocore.exceptions import ClientError

from platforms.client_errors import is_busy
from platforms.errors import WhippetError
from platforms.local.context import local_context
from platforms.local.hosting.async_queue import AsyncQueue
from platforms.local.hosting.endpoints import local_url
from platforms.local.hosting.model_calls import call_model
from platforms.local.hosting.record import with_worker
from platforms.local.records import Missing, Record
from platforms.locks import held, held_if_free
from platforms.processes.process import identify
from platforms.settings import Settings
from sm_entrypoints.contract.kill_points import play

# A worker costs half a second to start: it stays for the next request of a series.
_LINGER_SECONDS = 3.0
_POLL_SECONDS = 0.05
_RESTART_POLL_SECONDS = 0.5
# AWS chooses by the instance; our servers take one call at a time and queue the others.
_DEFAULT_CONCURRENCY = 4


def main(home: Path, endpoint: str) -> None:
    """Answer what is queued, until nothing came for a few seconds."""
    play("queue worker")
    context, ours = local_context(Settings(home=home)), identify(os.getpid())
    queue = AsyncQueue(context=context, endpoint=endpoint)
    try:
        with held_if_free(queue.worker_lock) as free:
            if not free:
                return
            record = context.records.update(
                "endpoints", endpoint, lambda record: with_worker(record, ours)
            )
            if (record["Local"].get("Worker") or {}).get("Group") == ours.to_record():
                _Worker(queue=queue, calls=_concurrency(record)).run()
    except (Missing, FileNotFoundError):
        return  # Deleted meanwhile.


def _concurrency(record: Record) -> int:
    config = record["AsyncInferenceConfig"].get("ClientConfig", {})
    return int(config.get("MaxConcurrentInvocationsPerInstance", _DEFAULT_CONCURRENCY))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Worker:
    queue: AsyncQueue
    calls: int

    def run(self) -> None:
        """Return when the queue is empty; whoever adds a request after that can tell."""
        idle_since = time.monotonic()
        with ThreadPoolExecutor(self.calls) as pool:
            while True:
                waiting = self.queue.waiting()
                if waiting:
                    list(pool.map(self._answer, waiting[: self.calls]))
                    idle_since = time.monotonic()
                    continue
                if time.monotonic() - idle_since >= _LINGER_SECONDS:
                    with held(self.queue.gate):
                        if not self.queue.waiting():
                            return
                time.sleep(_POLL_SECONDS)

    def _answer(self, path: Path) -> None:
        item = json.loads(path.read_text(encoding="utf-8"))
        try:
            try:
                answer = self._ask(item)
                kind = answer.headers.get("Content-Type")
                self._write(item["OutputLocation"], answer.content, path.parent, kind)
            except ClientError as error:
                self._fail(item, error.response["Error"]["Message"], path.parent)
            except WhippetError as error:
                self._fail(item, str(error), path.parent)
        except (WhippetError, OSError) as error:
            # Trying again and again would keep the others waiting.
            print(f"{path.name}: {error}", file=sys.stderr, flush=True)
        path.unlink(missing_ok=True)

    def _ask(self, item: dict[str, Any]) -> httpx.Response:
        if time.time() > item["Expires"]:
            raise WhippetError("The request waited longer than its RequestTTLSeconds.")
        request, name = item["Request"], self.queue.endpoint
        buckets = self.queue.context.buckets
        with buckets.reading(request["InputLocation"], self.queue.folder) as file:
            body = file.read_bytes()
        last, deadline = False, time.monotonic() + item["Seconds"]
        while True:
            url = self._url(name, item["Seconds"])
            try:
                return call_model(name, url, body, request, item["Seconds"])
            except ClientError as error:
                waits = is_busy(error) and time.monotonic() < deadline
                # The server is started again. This very request may be what ended it.
                if not waits and (last or not _passes(error)):
                    raise
                last = last or not waits
            time.sleep(_RESTART_POLL_SECONDS)

    def _url(self, name: str, seconds: float) -> str:
        """Return the server's address; one that is being started again is waited for."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return local_url(self.queue.context, name)
            except ClientError as error:
                if not _passes(error) or time.monotonic() >= deadline:
                    raise
            time.sleep(_RESTART_POLL_SECONDS)

    def _fail(self, item: dict[str, Any], reason: str, scratch: Path) -> None:
        print(f"{item['OutputLocation']}: {reason}", file=sys.stderr, flush=True)
        if "FailureLocation" in item:
            kind = "text/plain; charset=utf-8"
            self._write(item["FailureLocation"], reason.encode(), scratch, kind)

    def _write(self, uri: str, content: bytes, scratch: Path, kind: str | None) -> None:
        with self.queue.context.buckets.writing(uri, scratch, content_type=kind) as file:
            file.write_bytes(content)


def _passes(error: ClientError) -> bool:
    return bool(error.response["Error"]["Code"] == "ServiceUnavailable")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
