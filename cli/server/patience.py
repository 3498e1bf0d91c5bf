"""What somebody orders on the server's pages is not lost because the database is busy.

Under load SQLite says "database is locked", and Prefect answers 503: nothing was written. Prefect's
client for programs then asks again, its pages do not: a *Resume* or a *Cancel* would be gone with a
message that is easily missed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# More than any order of a page; what is longer is passed on as it comes, once.
_MOST_BYTES = 4 << 20
_WAITS = (0.25, 0.5, 1.0, 2.0, 4.0)
_MOST_SECONDS = 30.0
_BUSY = 503
_READS = ("GET", "HEAD", "OPTIONS")


class OrdersAreKept:
    """ASGI middleware that carries a page's order out later when the database is busy.

    Args:
        waits: seconds before each further try.
        clock: says how late it is; half a minute after the first try, the next is the last.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        waits: Sequence[float] = _WAITS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app, self._waits, self._clock = app, waits, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does, unless that is busy: then as it does a little later."""
        if not _is_order_of_a_page(scope):
            await self._app(scope, receive, send)
            return
        come = await _taken_in(receive)
        if come[-1].get("more_body") or come[-1]["type"] != "http.request":
            await self._app(scope, _given(come, receive), send)
            return
        began = self._clock()
        for wait in self._waits:
            # SQLite itself waits a minute for whoever writes: then a person has waited enough.
            if self._clock() - began > _MOST_SECONDS:
                break
            if not await self._is_busy(scope, _given(come, receive), send):
                return
            await asyncio.sleep(wait)
        await self._app(scope, _given(come, receive), send)

    async def _is_busy(self, scope: Scope, receive: Receive, send: Send) -> bool:
        """Have the application answer, and pass the answer on unless it says that it is busy."""
        busy = False

        async def sent(message: Message) -> None:
            nonlocal busy
            busy = busy or message.get("status") == _BUSY
            if not busy:
                await send(message)

        try:
            # A copy: an application writes its findings into it.
            await self._app(dict(scope), receive, sent)
        except SQLAlchemyError:  # raised again after the answer, for a log
            if not busy:
                raise
        return busy


def _is_order_of_a_page(scope: Scope) -> bool:
    """Say whether a page wants something changed; programs ask again by themselves."""
    if scope["type"] != "http" or scope["method"] in _READS:
        return False
    length = Headers(scope=scope).get("content-length", "0")
    return "origin" in Headers(scope=scope) and (
        not length.isdecimal() or int(length) <= _MOST_BYTES
    )


async def _taken_in(receive: Receive) -> list[dict[str, Any]]:
    """Return what came of a request: all of it, unless its client leaves or it is too long."""
    come: list[dict[str, Any]] = []
    while True:
        come.append(dict(await receive()))
        size = sum(len(message.get("body", b"")) for message in come)
        if not come[-1].get("more_body") or size > _MOST_BYTES:
            return come


def _given(come: Sequence[Message], receive: Receive) -> Receive:
    """Return what gives an application what has come already, and then the rest."""
    left = list(come)

    async def received() -> Message:
        return left.pop(0) if left else await receive()

    return received
