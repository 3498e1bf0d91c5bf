"""Connections that cost little: a bounded number of them, none of which stays half-open for ever.

uvicorn itself waits without end for the rest of a request's head, and for the first byte. It also
leaves Nagle's algorithm on where it is given a socket of :func:`socket.create_server`: an answer's
body, written after its head, then waits for the client's delayed acknowledgement, 40 ms or more.
"""

from __future__ import annotations

import asyncio
import resource
import socket
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

# What a client may take for the head of a request, from its first byte on.
HEAD_SECONDS = 10.0
# A client may open a connection in advance; load balancers do.
SILENT_SECONDS = 75.0
# An extension in a request's scope: all of its body had come before anybody asked for it.
WHOLE_BODY = "whippet.whole_body"
_MOST = 512
# Files that the process itself needs.
_OTHER_FILES = 64
_REFUSAL = (
    b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s"
)
_LATE = b'{"error":"The head of the request did not come within 10 seconds."}'
_INVALID = b'{"error":"That is no HTTP request."}'


def most_connections() -> int:
    """Return how many connections may be open: fewer than there may be open files."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST if files < 0 else max(8, min(_MOST, files - _OTHER_FILES))


class BoundedConnection(H11Protocol):
    """A connection that is closed when its request's head is late, or when others need its place.

    Then it is the turn of those that have begun no request, then of those that still send one, and
    last of those that wait for an answer; of each kind, who was silent for the longest goes first.
    """

    most = most_connections()
    head_seconds = HEAD_SECONDS
    silent_seconds = SILENT_SECONDS

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._heard = self.loop.time()
        self._began = False
        self._alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a new connection in, if need be in the place of another."""
        super().connection_made(transport)
        # asyncio does so only for sockets with an explicit protocol.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wake_in(self.silent_seconds)
        others = [
            each
            for each in self.connections
            if isinstance(each, BoundedConnection)
            and each is not self
            and not each.transport.is_closing()
        ]
        if len(others) >= self.most:
            min(others, key=BoundedConnection.standing).transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take in what the client sent."""
        self._heard = self.loop.time()
        if not self._began and not self._answering:
            self._began = True
            self._wake_in(self.head_seconds)
        super().data_received(data)
        if self._answering:
            self._at_ease()

    def handle_events(self) -> None:
        """Begin with a request that has come, if one has."""
        super().handle_events()
        if self.cycle is not None and self.cycle.transport is self.transport:
            self.cycle.transport = _WholeAnswers(self.cycle)
            if not self.cycle.more_body:
                self.cycle.scope["extensions"] = {WHOLE_BODY: {}}

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, unless an answer is on its way already.

        Whoever still works on its beginning is told that nobody listens: uvicorn would let the
        answer come after this one, and fail.
        """
        unanswered = self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE)
        if self._answering:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if unanswered:
            self._refuse(b"400 Bad Request", _INVALID)
        self.transport.close()

    def on_response_complete(self) -> None:
        """Expect the next request; uvicorn closes the connection when none comes."""
        self._at_ease()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._at_ease()
        super().connection_lost(exc)

    def standing(self) -> tuple[int, float]:
        """Return the order in which connections are closed for others, the first one lowest."""
        if not self._answering:
            return 0, self._heard
        return (1 if self.cycle.more_body else 2), self._heard

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self, status: bytes, sentence: bytes) -> None:
        self.transport.write(_REFUSAL % (status, len(sentence), sentence))

    def _at_ease(self) -> None:
        self._began = False
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _wake_in(self, seconds: float) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self.loop.call_later(seconds, self._late)

    def _late(self) -> None:
        if self._answering or self.transport.is_closing():
            return
        if self._began and self.cycle is None:
            self._refuse(b"408 Request Timeout", _LATE)
        self.transport.close()


class _WholeAnswers(asyncio.Transport):
    """What an answer is written to: its head waits for its body, and both leave in one piece.

    A client that waits for the answer is woken once, not twice, and each wake takes a while.
    """

    def __init__(self, cycle: RequestResponseCycle) -> None:
        super().__init__()
        self._cycle, self._transport = cycle, cycle.transport
        self._head: bytes | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes, the head of an answer with what follows it."""
        if self._head is None and self._cycle.response_started:
            self._head = bytes(data)
        elif self._head:
            self._transport.write(self._head + data)
            self._head = b""
        else:
            self._transport.write(data)

    def is_closing(self) -> bool:
        """Tell whether the connection is closed, or about to be."""
        return self._transport.is_closing()

    def close(self) -> None:
        """Close the connection once all is sent that was written."""
        self._transport.close()
