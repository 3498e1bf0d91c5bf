"""Take in request bodies within limits of size, time and memory, before anything waits for them.

A body that comes slowly takes nobody's place: only whole ones wait for the model. One that stalls
is given up after a while, or as soon as the memory for bodies is used up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from starlette.requests import Request

from sm_entrypoints.serving.connections import WHOLE_BODY

# A client that is still sending reads no answer: this much of a refused body is read and dropped.
DRAIN_BYTES = 64 * 1024 * 1024
RETRY_AFTER = {"Retry-After": "1"}
# For what clients together ask too much; 503 is for a server that is not ready at all.
TOO_MANY = 429
CLOSE = {"Connection": "close"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one server takes on at a time."""

    body_bytes: int = 6 * 1024 * 1024  # SageMaker's own limit for a request
    workers: int = 1
    queue: int = 32
    batch: int = 8  # requests that one call of the model may answer, where its handlers can
    timeout_seconds: float = 60  # SageMaker's own limit for an answer
    # A body may take this long, and longer the more of it has come, up to the limit of an answer.
    patience_seconds: float = 10
    least_bytes_per_second: int = 128 * 1024

    @property
    def places(self) -> int:
        """Requests that may be computed or wait for it."""
        return self.workers + self.queue


class Refused(Exception):
    """Raised inside a request to answer with an error."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


class Intake:
    """Reads bodies; those that are read and those that are kept share one allowance of memory."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._allowance = limits.places * limits.body_bytes
        self._held = 0
        # Those that are being read, the oldest first, with the moment when they began.
        self._reading: dict[asyncio.Timeout, float] = {}

    async def read(self, request: Request) -> bytes:
        """Return the body of a request; whoever is done with it calls :meth:`forget`.

        Raises:
            Refused: 413 it is too large, 408 it does not come in time, 429 there is no memory for
                it.
            ClientDisconnect: nobody is there any more.
        """
        body = _Body(request, self._limits.body_bytes)
        with self._forgotten_if_refused(body):
            if WHOLE_BODY in request.scope.get("extensions", ()):
                # It has come: nobody needs to watch how long that takes.
                async for chunk in request.stream():
                    self._hold(body.add(chunk))
            else:
                await self._read_in_time(request, body)
            return body.whole()

    async def _read_in_time(self, request: Request, body: _Body) -> None:
        limits, loop = self._limits, asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(limits.patience_seconds) as patience:
                with self._listed(patience, began):
                    async for chunk in request.stream():
                        self._hold(body.add(chunk))
                        extra = body.seen / limits.least_bytes_per_second
                        most = min(limits.timeout_seconds, limits.patience_seconds + extra)
                        if patience in self._reading:
                            patience.reschedule(began + most)
                        if body.hopeless:
                            break
        except TimeoutError:
            raise Refused(
                408,
                f"Only {body.seen:,} bytes of the request body came within "
                f"{loop.time() - began:.0f} seconds; send it faster.",
                CLOSE,
            ) from None

    @contextmanager
    def _forgotten_if_refused(self, body: _Body) -> Iterator[None]:
        with ExitStack() as undo:
            undo.callback(lambda: self.forget(body.kept))
            yield
            undo.pop_all()

    def forget(self, size: int) -> None:
        """Take note that ``size`` bytes of bodies are not needed any more."""
        self._held -= size

    @contextmanager
    def _listed(self, patience: asyncio.Timeout, began: float) -> Iterator[None]:
        self._reading[patience] = began
        try:
            yield
        finally:
            self._reading.pop(patience, None)

    def _hold(self, change: int) -> None:
        self._held += change
        if self._held <= self._allowance or change <= 0 or not self._reading:
            return
        loop = asyncio.get_running_loop()
        oldest, began = next(iter(self._reading.items()))
        if loop.time() - began < self._limits.patience_seconds / 5:
            raise Refused(TOO_MANY, "Too many large requests at once; try again.", RETRY_AFTER)
        del self._reading[oldest]
        if not oldest.expired():
            oldest.reschedule(loop.time())


class _Body:
    """The part of a body that has come."""

    def __init__(self, request: Request, limit: int) -> None:
        self._limit = limit
        self._chunks: list[bytes] = []
        self.seen = self.kept = 0
        announced = request.headers.get("content-length", "")
        self._too_large = announced.isdecimal() and int(announced) > limit
        if self._too_large and "expect" in request.headers:
            raise self._refusal()  # the client waits for a word before it sends anything

    @property
    def hopeless(self) -> bool:
        """Whether it is not even worth reading."""
        return self._too_large and self.seen > DRAIN_BYTES

    def add(self, chunk: bytes) -> int:
        """Keep a chunk unless the body is too large; return by how much more is kept."""
        self.seen += len(chunk)
        self._too_large = self._too_large or self.seen > self._limit
        before = self.kept
        if self._too_large:
            self._chunks.clear()
            self.kept = 0
        else:
            self._chunks.append(chunk)
            self.kept += len(chunk)
        return self.kept - before

    def whole(self) -> bytes:
        """Return it.

        Raises:
            Refused: it is too large.
        """
        if self._too_large:
            raise self._refusal()
        return b"".join(self._chunks)

    def _refusal(self) -> Refused:
        return Refused(413, f"The request body is larger than the {self._limit:,} bytes allowed.")
