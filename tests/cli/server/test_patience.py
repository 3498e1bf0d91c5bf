"""What a page orders is carried out once the database is free; nothing else is asked twice."""

from __future__ import annotations

import asyncio
import sqlite3

import httpx
import pytest
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cli.server.patience import OrdersAreKept

PAGE = {"Origin": "http://127.0.0.1:4200"}


class Busy:
    """An application whose database is locked for some requests, as Prefect's says it."""

    def __init__(self, times):
        self.left, self.bodies = times, []

    def app(self):
        # Starlette raises what its last handler answered once more, as it does for Prefect.
        return Starlette(
            routes=[Route("/{rest:path}", self._answer, methods=["GET", "POST", "DELETE"])],
            exception_handlers={Exception: self._told},
        )

    async def _answer(self, request: Request) -> Response:
        self.bodies.append(await request.body())
        if self.left:
            self.left -= 1
            raise OperationalError("UPDATE", {}, sqlite3.OperationalError("database is locked"))
        return JSONResponse({"resumed": request.url.path}, 201)

    async def _told(self, request, error):
        return JSONResponse({"exception_message": "Service Unavailable"}, 503)


def asked(busy, method="POST", headers=PAGE, content=b"{}", **more):
    async def ask():
        app = OrdersAreKept(busy.app(), waits=(0, 0, 0), **more)
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            path = "/flow_runs/1/resume"
            return await client.request(method, path, content=content, headers=headers)

    return asyncio.run(ask())


@pytest.mark.parametrize("times", [0, 1, 3])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_an_order_is_carried_out_when_the_database_is_free(times, method):
    busy = Busy(times)
    answer = asked(busy, method)
    assert (answer.status_code, answer.json()) == (201, {"resumed": "/flow_runs/1/resume"})
    assert busy.bodies == [b"{}"] * (times + 1)


def test_a_database_that_stays_busy_is_said():
    busy = Busy(99)
    answer = asked(busy)
    assert (answer.status_code, answer.json()["exception_message"]) == (503, "Service Unavailable")
    assert len(busy.bodies) == 4


def test_nobody_waits_for_minutes():
    busy, late = Busy(99), iter([0.0, 0.0, 61.0])
    assert asked(busy, clock=lambda: next(late)).status_code == 503
    assert len(busy.bodies) == 2


@pytest.mark.parametrize(("method", "headers"), [("GET", PAGE), ("POST", {})])
def test_what_reads_or_comes_from_a_program_is_asked_once(method, headers):
    busy = Busy(1)
    assert asked(busy, method, headers).status_code == 503
    assert len(busy.bodies) == 1


def test_a_body_too_long_to_keep_is_passed_on_once():
    async def parts():
        for _ in range(5):
            yield bytes(1 << 20)

    for content in (bytes(5 << 20), parts()):
        busy = Busy(1)
        assert asked(busy, content=content).status_code == 503
        assert [len(body) for body in busy.bodies] == [5 << 20]
