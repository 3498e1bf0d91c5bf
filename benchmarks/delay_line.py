"""A line of this machine that everything takes a while to pass, there and back each.

It reads nothing and understands nothing. Like every listener here it has a thread of its own and a
free port. It costs processor time (about a tenth of a transfer's), for every client the same.
"""

from __future__ import annotations

import asyncio
import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self, cast

HOST = "127.0.0.1"


class Listener(ABC):
    """A server of asyncio in a thread, in front of another port of this machine."""

    def __init__(self, upstream_port: int) -> None:
        self._upstream = upstream_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        opened = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self._server = opened
        self.port = opened.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    @abstractmethod
    async def _listen(self) -> asyncio.Server: ...

    async def _close(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class DelayLine(Listener):
    """A line that everything takes ``seconds`` to pass, there and back each."""

    def __init__(self, upstream_port: int, seconds: float) -> None:
        """Delay what goes to ``upstream_port`` of this machine and what comes back."""
        super().__init__(upstream_port)
        self._seconds = seconds
        self._ends: set[_End] = set()

    async def _listen(self) -> asyncio.Server:
        return await self._loop.create_server(self._near_end, HOST, 0)

    def _near_end(self) -> _End:
        near = _End(self._loop, self._seconds, self._ends)
        far = near.other = _End(self._loop, self._seconds, self._ends)
        far.other = near
        opening = self._loop.create_task(
            self._loop.create_connection(lambda: far, HOST, self._upstream)
        )
        near.opening = opening
        opening.add_done_callback(near.opened)
        return near

    async def _close(self) -> None:
        await super()._close()
        for end in list(self._ends):
            end.abort()
        # Their sockets are closed by the loop's next turn.
        await asyncio.sleep(0)


class _End(asyncio.Protocol):
    """One of the two connections that a line is made of; passes what it gets to the other."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, ends: set[_End]) -> None:
        self.other: _End
        self.opening: asyncio.Task[object] | None = None
        self._loop, self._seconds, self._ends = loop, seconds, ends
        self._transport: asyncio.Transport | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send what arrived for this end before it was there."""
        self._transport = cast(asyncio.Transport, transport)
        self._ends.add(self)
        for data in self._early:
            self._transport.write(data)

    def opened(self, opening: asyncio.Task[object]) -> None:
        """Hang up when there is nobody at the far end, or nobody here any more."""
        if opening.cancelled() or opening.exception():
            self.abort()
        elif self._transport is None or self._transport.is_closing():
            self.other.abort()

    def data_received(self, data: bytes) -> None:
        """Pass data on, later."""
        self._loop.call_later(self._seconds, self.other.write, data)

    def write(self, data: bytes) -> None:
        """Send data, or keep it until this end is there."""
        if self._transport is None:
            self._early.append(data)
        elif not self._transport.is_closing():
            self._transport.write(data)

    def connection_lost(self, _: Exception | None) -> None:
        """Hang up at the other end too, behind all that is still on its way."""
        self._ends.discard(self)
        self._loop.call_later(self._seconds, self.other.close)

    def close(self) -> None:
        """Hang up when everything is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Hang up now."""
        if self._transport is not None:
            self._transport.abort()
