"""Read a request, run its operation and write the answer, in each protocol that clients use."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable
from typing import Any

from botocore.model import StructureShape
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from platforms.local.api.answers import ANSWERED, Refused, problem_of, result
from platforms.local.api.guard import read_body
from platforms.local.api.shapes import from_wire, only_members, to_wire
from platforms.local.api.wire import cbor, query
from platforms.local.api.wire.services import Service, named

# No request of these services comes near it.
_MAX_BYTES = 4 * 1024 * 1024
_FORM = "application/x-www-form-urlencoded"
_CBOR = "application/cbor"
_NOTHING = StructureShape("Nothing", {"type": "structure", "members": {}})


class Protocols:
    """The handlers of the routes where operations are called by name."""

    def __init__(self, services: Iterable[Service]) -> None:
        self._services = list(services)

    async def root(self, request: Request) -> Response:
        """Answer ``POST /``: JSON, or a form of the query protocol."""
        body = await read_body(request, _MAX_BYTES)
        form = request.headers.get("content-type", "").startswith(_FORM)
        if form and "x-amz-target" not in request.headers:
            return await _answered(_xml_error, self._query, body)
        target = request.headers.get("x-amz-target", "")
        return result(await run_in_threadpool(self._json, target, body))

    async def rpc(self, request: Request) -> Response:
        """Answer ``POST /service/NAME/operation/NAME``: CBOR."""
        body = await read_body(request, _MAX_BYTES)
        where = request.path_params["service"], request.path_params["operation"]
        return await _answered(_cbor_error, self._cbor, *where, body)

    def _json(self, target: str, body: bytes) -> dict[str, Any]:
        prefix, _, operation = target.partition(".")
        if not operation:
            raise Refused(
                "UnknownOperationException",
                f"X-Amz-Target is {target!r}: it must name a service and an operation, as in "
                "SageMaker.ListTrainingJobs.",
            )
        service = named(self._services, "targetPrefix", prefix)
        model = service.model(operation)
        try:
            parsed = json.loads(body or b"{}")
        except (ValueError, RecursionError) as error:
            raise Refused("SerializationException", f"The body is not JSON: {error}") from error
        if not isinstance(parsed, dict):
            raise Refused("SerializationException", "The body is not a JSON object.")
        answer = service.run(operation, from_wire(parsed, model.input_shape))
        written: dict[str, Any] = to_wire(answer, model.output_shape or _NOTHING)
        return written

    def _cbor(self, target: str, operation: str, body: bytes) -> Response:
        service = named(self._services, "targetPrefix", target)
        model = service.model(operation)
        parsed = cbor.decode(body) if body else {}
        answer = only_members(service.run(operation, parsed), model.output_shape or _NOTHING)
        return _response(cbor.encode(answer), 200, _CBOR)

    def _query(self, body: bytes) -> Response:
        form = query.read_form(body)
        service = named(self._services, "apiVersion", form.get("Version", ""))
        model = service.model(form.get("Action", ""))
        answer = service.run(model.name, query.from_form(form, model.input_shape))
        return _response(query.answer_xml(model, answer, str(uuid.uuid4())), 200, "text/xml")


async def _answered(
    refuse: Callable[[Exception], Response], operation: Callable[..., Response], *arguments: Any
) -> Response:
    try:
        return await run_in_threadpool(operation, *arguments)
    except ANSWERED as error:
        return refuse(error)


def _cbor_error(error: Exception) -> Response:
    problem = problem_of(error)
    body = {"__type": problem.code, "message": problem.message}
    response = _response(cbor.encode(body), problem.status, _CBOR)
    side = "Sender" if problem.status < 500 else "Receiver"
    # Newer clients still tell errors by the names that they have in the query protocol.
    response.headers["x-amzn-query-error"] = f"{problem.code};{side}"
    return response


def _xml_error(error: Exception) -> Response:
    problem = problem_of(error)
    body = query.error_xml(problem.code, problem.message, problem.status, str(uuid.uuid4()))
    return _response(body, problem.status, "text/xml")


def _response(body: bytes, status: int, kind: str) -> Response:
    headers = {"x-amzn-RequestId": str(uuid.uuid4())}
    if kind == _CBOR:
        headers["smithy-protocol"] = "rpc-v2-cbor"
    return Response(body, status, headers, kind)
