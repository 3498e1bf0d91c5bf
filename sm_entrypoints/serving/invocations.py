"""The HTTP side of the model server: read a request within limits, call the model, answer.

Errors are JSON, ``{"error": "a sentence"}``, for any path and method. If a handler raises an
exception with an integer ``status_code`` from 400 to 599 (as in SageMaker's toolkit), the answer
has that status, and otherwise 500; the traceback goes to the log.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sm_entrypoints.contract.sentences import ended
from sm_entrypoints.serving.accept import accepted
from sm_entrypoints.serving.context import CONTENT_TYPE, Context
from sm_entrypoints.serving.handlers import Program
from sm_entrypoints.serving.payloads import TEXT_TYPES, PayloadError, to_json

# A client that is still sending reads no answer: this much of a refused body is read and dropped.
DRAIN_BYTES = 64 * 1024 * 1024
RETRY_AFTER = {"Retry-After": "1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one server takes on at a time."""

    body_bytes: int = 6 * 1024 * 1024  # SageMaker's own limit for a request
    workers: int = 1
    queue: int = 32
    timeout_seconds: float = 60  # SageMaker's own limit for an answer


class _Refused(Exception):
    """Raised inside a request to answer with an error."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


class ModelService:
    """Answer ``/ping`` and ``/invocations`` for one model.

    At most ``limits.workers`` model calls run at a time and ``limits.queue`` requests wait; others
    get 503 with Retry-After at once, so memory stays bounded however many clients there are.
    """

    def __init__(self, limits: Limits, *, default_accept: str = "application/json") -> None:
        self._limits = limits
        self._default_accept = default_accept
        self._executor = ThreadPoolExecutor(limits.workers, thread_name_prefix="model")
        self._loaded: tuple[Program, Any] | None = None
        self._busy = 0

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
        try:
            return await self._admit(request)
        except _Refused as refused:
            message, headers = {"error": str(refused)}, refused.headers
            return JSONResponse(message, status_code=refused.status, headers=headers)
        except ClientDisconnect:
            return Response(status_code=400)

    async def _admit(self, request: Request) -> Response:
        if self._loaded is None:
            raise _Refused(503, "The model is still loading; try again.", RETRY_AFTER)
        if self._busy >= self._limits.workers + self._limits.queue:
            raise _Refused(503, "Too many concurrent requests; try again.", RETRY_AFTER)
        self._busy += 1
        call: asyncio.Future[Response] | None = None
        try:
            body = await _read_body(request, self._limits.body_bytes)
            loop = asyncio.get_running_loop()
            call = loop.run_in_executor(
                self._executor, self._answer, *self._loaded, body, request.headers
            )
            call.add_done_callback(self._release)
            return await asyncio.wait_for(asyncio.shield(call), self._limits.timeout_seconds)
        except TimeoutError:
            limit = f"{self._limits.timeout_seconds:g} seconds"
            raise _Refused(504, f"The model did not answer within {limit}.") from None
        finally:
            # A call that timed out still runs, and keeps its place until it ends.
            if call is None:
                self._release(None)

    def _release(self, call: asyncio.Future[Response] | None) -> None:
        self._busy -= 1

    def _answer(
        self, program: Program, model: Any, body: bytes, headers: Mapping[str, str]
    ) -> Response:
        """Call the handlers; runs in a worker thread and never raises."""
        content_type = headers.get("content-type")
        accept = headers.get("accept", "").strip()
        if accept in ("", "*/*"):
            accept = self._default_accept
        context = program.context.of_request(headers)
        try:
            data = _decode(body, content_type)
            response, chosen = program.transform(model, data, content_type, accept, context=context)
            # A handler that does not say what it wrote wrote what was most wanted.
            kind = chosen or next(iter(accepted(accept)), self._default_accept)
            return _answered(_encode(response), kind, context)
        # The edge of the user's code: its errors are answers, the server lives on.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            return _failure(error, content_type)


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


def _answered(body: bytes, kind: str, context: Context) -> Response:
    """Return a good answer, with the status and the headers that the handlers set."""
    status, _ = context.get_response_status(0)
    named = {
        name: value
        for name, value in context.get_response_headers(0).items()
        if name.lower() != CONTENT_TYPE
    }
    return Response(body, status_code=status, headers={**named, CONTENT_TYPE: kind})


async def _read_body(request: Request, limit: int) -> bytes:
    """Return the body; refuse it as soon as it is known to be above ``limit`` bytes."""
    refused = _Refused(413, f"The request body is larger than the {limit:,} bytes allowed.")
    announced = request.headers.get("content-length", "")
    too_large = announced.isdecimal() and int(announced) > limit
    if too_large and "expect" in request.headers:
        raise refused  # the client waits for a word before it sends anything
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        too_large = too_large or size > limit
        if too_large:
            chunks.clear()
            if size > DRAIN_BYTES:
                break
        else:
            chunks.append(chunk)
    if too_large:
        raise refused
    return b"".join(chunks)


def _decode(body: bytes, content_type: str | None) -> bytes | str:
    """Return JSON and CSV as text, everything else untouched, as SageMaker's toolkit does."""
    if content_type not in TEXT_TYPES:
        return body
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise PayloadError(400, f"The body is not UTF-8 text: {ended(error)}") from None


def _encode(response: Any) -> bytes:
    """Return what a handler returned as bytes, as the model server of SageMaker's images does."""
    if isinstance(response, bytes | bytearray | memoryview):
        return bytes(response)
    if isinstance(response, str):
        return response.encode()
    try:
        return to_json(response, indent=2).encode()
    except TypeError as error:
        kind = type(response).__name__
        raise TypeError(f"a handler returned {kind}; return str or bytes: {error}") from error


def _failure(error: BaseException, content_type: str | None) -> Response:
    status = getattr(error, "status_code", None)
    if type(error).__name__ == "UnsupportedFormatError":
        # The toolkit's own, which does not say which of the two it is about.
        status = 415 if f"type {content_type} is" in str(error) else 406
    if isinstance(status, int) and 400 <= status < 600:
        # The text of the toolkit's errors is in `message`; str() gives all of their arguments.
        message = str(getattr(error, "message", None) or error)
        return JSONResponse({"error": message}, status_code=status)
    traceback.print_exception(error, file=sys.stderr)
    message = f"{type(error).__name__}: {error} (the traceback is in the endpoint's log)"
    return JSONResponse({"error": message}, status_code=500)
