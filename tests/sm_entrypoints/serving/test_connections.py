"""How answers leave a connection, and what the application knows of a request's body."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Any

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.server import ServerState

from sm_entrypoints.serving.connections import WHOLE_BODY, BoundedConnection

_POST = b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n"


class Recorded(asyncio.Transport):
    """Keeps each piece that is written."""

    def __init__(self, own: socket.socket) -> None:
        super().__init__({"socket": own, "sockname": ("127.0.0.1", 1), "peername": None})
        self.pieces: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        if data:
            self.pieces.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


def exchanged(chunks: Sequence[bytes]) -> tuple[list[bytes], list[bool]]:
    """Return what a server writes when these bytes come, and whether each body came at once."""
    at_once: list[bool] = []

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        at_once.append(WHOLE_BODY in scope.get("extensions", ()))
        await Response(await Request(scope, receive).body())(scope, receive, send)

    async def talk(own: socket.socket) -> list[bytes]:
        config = uvicorn.Config(echo, http=BoundedConnection, ws="none", lifespan="off")
        config.load()
        connection = BoundedConnection(config=config, server_state=ServerState(), app_state={})
        transport = Recorded(own)
        connection.connection_made(transport)
        for chunk in chunks:
            connection.data_received(chunk)
            for _ in range(20):
                await asyncio.sleep(0)
        connection.connection_lost(None)
        return transport.pieces

    with socket.socket() as own:
        return asyncio.run(talk(own)), at_once


@pytest.mark.parametrize(
    ("chunks", "at_once"),
    [
        ([_POST + b"\r\nbody"], [True]),
        ([_POST + b"\r\n", b"body"], [False]),
        ([_POST + b"\r\nbo", b"dy"], [False]),
    ],
)
def test_an_answer_leaves_in_one_piece(chunks: list[bytes], at_once: list[bool]) -> None:
    pieces, known = exchanged(chunks)
    assert len(pieces) == 1
    assert pieces[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert pieces[0].endswith(b"\r\n\r\nbody")
    assert known == at_once


def test_an_answer_without_a_body_leaves_too() -> None:
    pieces, _ = exchanged([b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\n"])
    assert len(pieces) == 1
    assert b"content-length: 0" in pieces[0]


def test_pipelined_requests_are_answered_one_by_one() -> None:
    pieces, known = exchanged([(_POST + b"\r\n1111") + (_POST + b"\r\n2222")])
    assert [piece[-4:] for piece in pieces] == [b"1111", b"2222"]
    assert known == [True, True]


def test_who_waits_for_a_word_before_sending_gets_it_at_once() -> None:
    pieces, known = exchanged([_POST + b"Expect: 100-continue\r\n\r\n", b"body"])
    assert pieces[0].startswith(b"HTTP/1.1 100 ")
    assert len(pieces) == 2
    assert pieces[1].endswith(b"\r\n\r\nbody")
    assert known == [False]
