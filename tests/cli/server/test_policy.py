"""What the server tells browsers that its pages may do."""

from __future__ import annotations

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from cli.server.policy import StaysHere

ORIGINS = ["http://127.0.0.1:4200", "http://localhost:4200"]


async def answer(request) -> PlainTextResponse:
    return PlainTextResponse("a page", headers={"Content-Security-Policy": "default-src *"})


def policy(path: str) -> dict[str, list[str]]:
    """Return the rules that an answer of the server comes with."""
    app = StaysHere(Starlette(routes=[Route("/", answer)]), ORIGINS)

    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=ORIGINS[0]) as client:
            return await client.get(path)

    (told,) = anyio.run(asked).headers.get_list("content-security-policy")
    return {name: values for name, *values in map(str.split, told.split(";"))}


@pytest.mark.parametrize("path", ["/", "/no-such-page"])
def test_pages_may_call_this_server_only(path):
    own = {*ORIGINS, "ws://127.0.0.1:4200", "ws://localhost:4200"}
    assert set(policy(path)["connect-src"]) == {"'self'", "data:", "blob:", *own}


def test_nothing_is_loaded_from_elsewhere():
    rules = policy("/")
    assert rules["default-src"] == ["'self'"]
    inside = {"'self'", "'none'", "'unsafe-eval'", "'unsafe-inline'", "data:", "blob:"}
    others = {name: set(values) - inside for name, values in rules.items()}
    assert {name for name, left in others.items() if left} == {"connect-src"}
    assert "'unsafe-inline'" not in rules["script-src"]
    assert rules["frame-ancestors"] == ["'none'"]
