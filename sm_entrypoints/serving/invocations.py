"""The HTTP side of the model server: read a request within limits, call the model, answer.

Errors are JSON, ``{"error": "a sentence"}``, for any path and method. What the handlers make of a
request is in :mod:`sm_entrypoints.serving.calls`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sm_entrypoints.serving.calls import Call, Calls
from sm_entrypoints.serving.counter import RequestCounter
from sm_entrypoints.serving.handlers import Program
from sm_entrypoints.serving.intake import RETRY_AFTER, TOO_MANY, Intake, Limits, Refused


class ModelService:
    """Answer ``/ping`` and ``/invocations`` for one model.

    At most ``limits.workers`` model calls run at a time and ``limits.queue`` requests wait; others
    get 429 with Retry-After at once, so memory stays bounded however many clients there are. A
    request waits only when all of it has come. One whose client left, or has its 504, is not
    computed any more, unless that has begun. Those that wait are answered in batches where the
    model's handlers can do that.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        default_accept: str = "application/json",
        requests_file: Path | None = None,
    ) -> None:
        self._limits = limits
        self._default_accept = default_accept
        self._calls = Calls(limits.workers, most=limits.batch, heavy=limits.places // 2)
        self._loaded: tuple[Program, Any] | None = None
        self._intake = Intake(limits)
        self._busy = 0
        self._counter = RequestCounter(requests_file)

    def begin(self, program: Program, model: Any) -> None:
        """Answer requests from now on; until then ``/ping`` says 503."""
        self._loaded = (program, model)

    def application(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/ping", self._ping, methods=["GET"]),
                Route("/invocations", self._invocations, methods=["POST"]),
            ],
            exception_handlers={HTTPException: _elsewhere},
        )

    async def _ping(self, request: Request) -> Response:
        if self._loaded is None:
            return Response(status_code=503, headers=RETRY_AFTER)
        return Response(status_code=200)

    async def _invocations(self, request: Request) -> Response:
        self._counter.note()
        try:
            return await self._admit(request)
        except Refused as refused:
            message, headers = {"error": str(refused)}, refused.headers
            return JSONResponse(message, status_code=refused.status, headers=headers)
        except ClientDisconnect:
            return Response(status_code=400)

    async def _admit(self, request: Request) -> Response:
        if self._loaded is None:
            raise Refused(503, "The model is still loading; try again.", RETRY_AFTER)
        self._require_a_place()
        body = await self._intake.read(request)
        try:
            self._require_a_place()
        except Refused:
            self._intake.forget(len(body))
            raise
        return await self._computed(request, body, *self._loaded)

    def _require_a_place(self) -> None:
        if self._busy >= self._limits.places:
            raise Refused(TOO_MANY, "Too many concurrent requests; try again.", RETRY_AFTER)

    async def _computed(
        self, request: Request, body: bytes, program: Program, model: Any
    ) -> Response:
        """Return the answer, unless the client leaves or the time is over before."""
        self._busy += 1
        call = self._calls.submit(Call(program, model, body, request.headers, self._default_accept))
        loop, size = asyncio.get_running_loop(), len(body)
        # A call that has begun keeps its place until it ends, whoever waits for it.
        call.add_done_callback(lambda _: _soon(loop, self._release, size))
        answer, left = asyncio.wrap_future(call), loop.create_task(_left(request))
        either: set[asyncio.Future[Any]] = {answer, left}
        try:
            done, _ = await asyncio.wait(
                either,
                timeout=self._limits.timeout_seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if answer in done:
                return answer.result()
            if left in done:
                raise ClientDisconnect
            limit = f"{self._limits.timeout_seconds:g} seconds"
            raise Refused(504, f"The model did not answer within {limit}.")
        finally:
            left.cancel()
            call.cancel()

    def _release(self, size: int) -> None:
        self._busy -= 1
        self._intake.forget(size)


async def _elsewhere(request: Request, error: Exception) -> Response:
    """Answer a request for an unknown route: 404, or 405 with what is allowed."""
    assert isinstance(error, HTTPException)
    path, method = request.url.path, request.method
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        message = f"{method} is not allowed on {path}, which takes {allowed}."
    else:
        message = f"There is nothing at {path}: only GET /ping and POST /invocations exist."
    return JSONResponse(
        {"error": message}, status_code=error.status_code, headers=dict(error.headers or {})
    )


async def _left(request: Request) -> None:
    """Return when the client of a request that has come is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _soon(loop: asyncio.AbstractEventLoop, callback: Callable[[int], None], argument: int) -> None:
    """Have the loop call back, from any thread; never where it has ended."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(callback, argument)
