"""A proxy between us and a store that counts, breaks and falsifies.

``FaultyProxy`` reads HTTP/1.1: it counts requests and bytes, and treats each request as ``plan``
says. It listens on a free port of this machine, in a thread of its own.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

FAULTS = (
    "reset before",
    "reset after",
    "status 429",
    "status 500",
    "status 503",
    "cut answer",
    "falsify answer",
    "falsify request",
    "stall",
)
_STALL_SECONDS = 0.3
_HOST, _HALF = "127.0.0.1", 2**16

Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A request or an answer: its first line, its headers by lower-case name, its bytes."""

    first: str
    headers: dict[str, str]
    head: bytes
    body: bytes


@dataclass
class Traffic:
    """What passed: requests by kind (``GET object``, ``LIST``), body bytes both ways, faults."""

    requests: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    received: int = 0
    faults: Counter[str] = field(default_factory=Counter)


Plan = Callable[[str, str], str | None]


class FaultyProxy:
    """A proxy that does with each request what ``plan(kind, target)`` says: None or a fault."""

    def __init__(self, upstream_port: int, plan: Plan = lambda _, __: None) -> None:
        """Stand before ``upstream_port`` of this machine."""
        self._upstream = upstream_port
        self._plan = plan
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self.traffic = Traffic()
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        opening = asyncio.start_server(self._serve, _HOST, 0, limit=_HALF)
        self._server = asyncio.run_coroutine_threadsafe(opening, self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(_HOST, self._upstream, limit=_HALF)
        try:
            await self._talk((reader, writer), (there, back))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # One side is gone: so is the other.
        finally:
            back.transport.abort()
            writer.transport.abort()

    async def _talk(self, client: Side, server: Side) -> None:
        while True:
            request = await _read(client[0])
            if request is None:
                return
            method, target, _ = request.first.split(" ", 2)
            kind = _kind(method, target)
            fault = self._plan(kind, target)
            self.traffic.requests[kind] += 1
            self.traffic.sent += len(request.body)
            self.traffic.faults.update([fault] if fault else [])
            if fault == "reset before":
                return
            if fault and fault.startswith("status"):
                await _answer(client[1], fault.removeprefix("status "))
                return
            await self._pass_on(request, fault, client, server)

    def _falsified(self, body: bytes) -> bytes:
        """Flip one bit, each time elsewhere: the same one twice would be the truth again."""
        if not body:
            return body
        place = 7919 * self.traffic.faults.total() % len(body)
        return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]

    async def _pass_on(
        self, request: Message, fault: str | None, client: Side, server: Side
    ) -> None:
        if fault == "stall":
            await asyncio.sleep(_STALL_SECONDS)
        body = self._falsified(request.body) if fault == "falsify request" else request.body
        server[1].write(request.head + body)
        answer = await _read(server[0], of_head=request.first.startswith("HEAD "))
        if answer is None or fault == "reset after":
            raise OSError("no answer")
        content = self._falsified(answer.body) if fault == "falsify answer" else answer.body
        if fault == "cut answer":
            content = content[: len(content) // 2]
        client[1].write(answer.head + content)
        await client[1].drain()
        self.traffic.received += len(content)
        if fault == "cut answer":
            # Let what was written leave; then the connection breaks.
            await asyncio.sleep(0.01)
            raise OSError("cut")


def _kind(method: str, target: str) -> str:
    if method == "GET" and ("list-type" in target or "prefix=" in target):
        return "LIST"
    return f"{method} manifest" if target.endswith("/manifest.json") else f"{method} object"


async def _answer(writer: asyncio.StreamWriter, status: str) -> None:
    code = {"429": "TooManyRequests", "500": "InternalError", "503": "SlowDown"}[status]
    body = f"<Error><Code>{code}</Code><Message>by plan</Message></Error>"
    writer.write(
        f"HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nConnection: close\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    await writer.drain()
    await asyncio.sleep(0.01)


async def _read(reader: asyncio.StreamReader, *, of_head: bool = False) -> Message | None:
    """Return the next message whole; None when the connection ended before it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines[1:] if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    if lines[0].startswith("HTTP/") and lines[0].split(" ")[1] in ("204", "304"):
        of_head = True
    if of_head:
        body = b""
    elif headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Message(first=lines[0], headers=headers, head=head, body=body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    """Return a chunked body as it is on the wire."""
    body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        body += line + await reader.readexactly(size + 2)
        if size == 0:
            return body
