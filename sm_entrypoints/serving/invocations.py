"""The HTTP side of the model server: read a request within limits, call the model, answer.

Errors are JSON, ``{"error": "a sentence"}``, for any path and method. What the handlers make of a
request is in :mod:`sm_entrypoints.serving.calls`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from sm_entrypoints.serving.calls import Call, Calls
from sm_entrypoints.serving.counter import RequestCounter
from sm_entrypoints.serving.handlers import Program
from sm_entrypoints.serving.intake import RETRY_AFTER, TOO_MANY, Intake, Limits, Refused
from sm_entrypoints.serving.lone import LoneClient

_PING = ("GET", "HEAD")
_ALLOWED = {"/ping": ", ".join(_PING), "/invocations": "POST"}
# A client that leaves is noticed from then on.
_SOON_SECONDS = 0.05


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
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._clock = clock
        self._limits = limits
        self._default_accept = default_accept
        self._calls = Calls(limits.workers, most=limits.batch, heavy=limits.places // 2)
        self._loaded: tuple[Program, Any] | None = None
        self._intake = Intake(limits)
        self._busy = 0
        self._counter = RequestCounter(requests_file)
        self._lone = LoneClient()

    def begin(self, program: Program, model: Any) -> None:
        """Answer requests from now on; until then ``/ping`` says 503."""
        self._loaded = (program, model)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as an ASGI application."""
        request = Request(scope, receive)
        response = await self._response(request)
        await response(scope, receive, send)

    async def _response(self, request: Request) -> Response:
        """Return the answer; two routes need no router, which takes its time with each request."""
        path, method = request.scope["path"], request.method
        if path == "/invocations" and method == "POST":
            return await self._invocations(request)
        if path == "/ping" and method in _PING:
            return self._ping()
        return _elsewhere(path, method)

    def _ping(self) -> Response:
        if self._loaded is None:
            return Response(status_code=503, headers=RETRY_AFTER)
        return Response(status_code=200)

    async def _invocations(self, request: Request) -> Response:
        self._counter.note()
        client, began = request.scope.get("client"), self._clock()
        self._lone.asks(client)
        response = await self._admitted(request)
        good = response.status_code < HTTPStatus.BAD_REQUEST
        self._lone.answered(client, self._clock() - began, good=good)
        return response

    async def _admitted(self, request: Request) -> Response:
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
        program, model = self._loaded
        call = Call(program, model, body, request.headers, self._default_accept)
        if self._may_be_answered_here(call):
            self._intake.forget(len(body))
            return call.answer()
        return await self._computed(request, call)

    def _require_a_place(self) -> None:
        if self._busy >= self._limits.places:
            raise Refused(TOO_MANY, "Too many concurrent requests; try again.", RETRY_AFTER)

    def _may_be_answered_here(self, call: Call) -> bool:
        """Tell whether nobody would notice if a call ran in the loop's own thread."""
        alone = self._lone.is_quick and self._busy == 0 and self._limits.workers == 1
        return alone and call.program.batches and not call.is_heavy()

    async def _computed(self, request: Request, call: Call) -> Response:
        """Return the answer, unless the client leaves or the time is over before."""
        self._busy += 1
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Response | None] = loop.create_future()
        deliver = partial(self._deliver, answer, len(call.body))
        computed = self._calls.submit(call)
        # A call that has begun keeps its place until it ends, whoever waits for it.
        computed.add_done_callback(lambda ended: _soon(loop, deliver, ended))
        # Most answers come before it is worth looking whether anybody still waits for them.
        soon = loop.call_later(_SOON_SECONDS, _settle, answer, None)
        try:
            return await answer or await self._late(request, computed)
        finally:
            soon.cancel()
            computed.cancel()

    async def _late(self, request: Request, call: Future[Response]) -> Response:
        answer = asyncio.wrap_future(call)
        left = asyncio.get_running_loop().create_task(_left(request))
        either: set[asyncio.Future[Any]] = {answer, left}
        limit = self._limits.timeout_seconds
        try:
            done, _ = await asyncio.wait(
                either, timeout=limit - _SOON_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            left.cancel()
        if answer in done:
            return answer.result()
        if left in done:
            raise ClientDisconnect
        raise Refused(504, f"The model did not answer within {limit:g} seconds.")

    def _deliver(
        self, answer: asyncio.Future[Response | None], size: int, ended: Future[Response]
    ) -> None:
        """Hand over what a call ended with, in the loop, and give its place to the next one."""
        self._busy -= 1
        self._intake.forget(size)
        if not ended.cancelled():
            _settle(answer, ended.result())


def _settle(answer: asyncio.Future[Response | None], response: Response | None) -> None:
    """Give who waits for an answer this one; None: it takes longer."""
    if not answer.done():
        answer.set_result(response)


def _elsewhere(path: str, method: str) -> Response:
    """Answer a request for an unknown route: 404, or 405 with what is allowed."""
    if path not in _ALLOWED:
        message = f"There is nothing at {path}: only GET /ping and POST /invocations exist."
        return JSONResponse({"error": message}, status_code=404)
    allowed = _ALLOWED[path]
    message = f"{method} is not allowed on {path}, which takes {allowed}."
    return JSONResponse({"error": message}, status_code=405, headers={"Allow": allowed})


async def _left(request: Request) -> None:
    """Return when the client of a request that has come is gone."""
    while (await request.receive())["type"] != "http.disconnect":
        continue


def _soon(
    loop: asyncio.AbstractEventLoop,
    deliver: Callable[[Future[Response]], None],
    ended: Future[Response],
) -> None:
    """Have the loop deliver, from any thread, once; never where it has ended."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(deliver, ended)
