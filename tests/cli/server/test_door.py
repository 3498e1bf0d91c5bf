"""Which requests get past the door, whoever made them."""

from __future__ import annotations

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from cli.server.door import OwnPagesOnly

PAGE = "http://127.0.0.1:4200"


async def answer(request) -> PlainTextResponse:
    return PlainTextResponse("inside")


async def talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("inside")
    await socket.close()


INSIDE = Starlette(
    routes=[
        Route("/{rest:path}", answer, methods=["GET", "POST", "OPTIONS", "PUT", "DELETE"]),
        WebSocketRoute("/events", talk),
    ]
)
DOOR = OwnPagesOnly(INSIDE, [PAGE, "http://localhost:4200"])


def ask(method: str, headers: list[tuple[str, str]]) -> httpx.Response:
    async def asked() -> httpx.Response:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=DOOR), base_url=PAGE
        ) as client:
            request = client.build_request(method, "/api/flows/")
            kept = [(k, v) for k, v in request.headers.multi_items() if k != "host"]
            request.headers = httpx.Headers([*headers, *kept])
            return await client.send(request)

    return anyio.run(asked)


@pytest.mark.parametrize("host", ["127.0.0.1:4200", "localhost:4200", "LOCALHOST:1", "[::1]:4200"])
@pytest.mark.parametrize("origin", [[], [("Origin", PAGE)], [("Origin", "http://localhost:4200")]])
def test_programs_and_its_own_pages_come_in(host, origin):
    assert ask("POST", [("Host", host), *origin]).text == "inside"


EVIL = [
    [("Host", "evil.example")],
    [("Host", "evil.example:4200")],
    [("Host", "127.0.0.1.evil.example:4200")],
    [("Host", "127.0.0.1:4200@evil.example")],
    [("Host", "localhost.evil.example")],
    [("Host", "0.0.0.0:4200")],
    [("Host", "")],
    [],
    [("Host", "127.0.0.1:4200"), ("Host", "evil.example")],
    [("Host", "127.0.0.1:4200"), ("Origin", "https://evil.example")],
    [("Host", "127.0.0.1:4200"), ("Origin", "null")],
    [("Host", "127.0.0.1:4200"), ("Origin", "")],
    # Another program's page on this machine.
    [("Host", "127.0.0.1:4200"), ("Origin", "http://127.0.0.1:8888")],
    [("Host", "127.0.0.1:4200"), ("Origin", "https://127.0.0.1:4200")],
    [("Host", "127.0.0.1:4200"), ("Origin", PAGE), ("Origin", "https://evil.example")],
]


@pytest.mark.parametrize("headers", EVIL)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_others_do_not(headers, method):
    found = ask(method, headers)
    assert found.status_code == 403
    assert "inside" not in found.text
    assert found.json()["detail"]


def connect(headers: dict[str, str]) -> list[str]:
    """Return the types of what a websocket's client is sent."""
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "websocket", "path": "/events", "headers": raw, "subprotocols": []}
    sent: list[str] = []

    async def receive() -> dict[str, object]:
        return {"type": "websocket.connect"}

    async def send(message) -> None:
        sent.append(message["type"])

    anyio.run(DOOR, scope, receive, send)
    return sent


def test_a_websocket_of_a_program_comes_in():
    sent = connect({"Host": "127.0.0.1:4200"})
    assert sent == ["websocket.accept", "websocket.send", "websocket.close"]


@pytest.mark.parametrize(
    "headers",
    [{"Host": "evil.example"}, {"Host": "127.0.0.1:4200", "Origin": "https://evil.example"}],
)
def test_a_websocket_of_others_does_not(headers):
    # Closed before it was accepted: the handshake is refused.
    assert connect(headers) == ["websocket.close"]
