"""The local SageMaker over HTTP: what ``whippet api`` serves on 127.0.0.1.

One port speaks the JSON 1.1 protocol of SageMaker and CloudWatch Logs (``X-Amz-Target``) and the
REST of ``sagemaker-runtime``, so boto3, the AWS CLI and the SageMaker SDKs drive it by endpoint
URLs alone. Requests and answers go through botocore's own model of the service.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import uvicorn
from botocore import xform_name
from botocore.model import StructureShape
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from platforms.errors import SettingsError
from platforms.local.api_answers import ANSWERED, Refused, failure, result
from platforms.local.api_guard import OnlyThisMachine, read_body
from platforms.local.api_shapes import from_wire, to_wire
from platforms.local.client import LocalSageMaker
from platforms.local.context import LocalContext, local_context
from platforms.local.logs import LocalLogs
from platforms.local.runtime import MAX_BODY_BYTES, LocalRuntime
from platforms.settings import Settings
from platforms.validation import service_model

HOST = "127.0.0.1"
# No request of these services comes near it.
_MAX_JSON_BYTES = 4 * 1024 * 1024
# Longer than clients keep an idle connection for.
_KEEP_ALIVE_SECONDS = 75
_DRAIN_SECONDS = 10
_LAST_PORT = 65_535
_LOG_OPERATIONS = ("describe_log_streams", "filter_log_events", "get_log_events")

Operation = Callable[..., dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Service:
    """One service of the JSON protocol: botocore's name of it, and its operations by ours."""

    name: str
    operations: Mapping[str, Operation]

    def call(self, operation: str, request: Any) -> dict[str, Any]:
        """Run an operation (``CreateTrainingJob``); dicts of the protocol in and out."""
        method = self.operations.get(xform_name(operation))
        if method is None:
            known = ", ".join(sorted(_pascal(self.name, self.operations)))
            raise Refused(
                "UnknownOperationException",
                f"The local platform has no operation {operation!r} of {self.name}; it has {known}",
            )
        model = service_model(self.name).operation_model(operation)
        if not isinstance(request, dict):
            raise Refused("SerializationException", "The body is no JSON object.")
        response = method(**from_wire(request, model.input_shape))
        answer: dict[str, Any] = to_wire(response, model.output_shape or _NOTHING)
        return answer


_NOTHING = StructureShape("Nothing", {"type": "structure", "members": {}})


class LocalApi:
    """The routes of the API over one context; every call runs in a thread of its own."""

    def __init__(self, context: LocalContext) -> None:
        sagemaker, logs = LocalSageMaker(context), LocalLogs(context=context)
        self._runtime = LocalRuntime(context)
        self._services = {
            "SageMaker": _Service(
                name="sagemaker",
                operations={name: getattr(sagemaker, name) for name in sagemaker.operations},
            ),
            "Logs_20140328": _Service(
                name="logs", operations={name: getattr(logs, name) for name in _LOG_OPERATIONS}
            ),
        }

    def application(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/", self._json, methods=["POST"]),
                Route("/endpoints/{name}/invocations", self._invocation, methods=["POST"]),
                Route("/endpoints/{name}/async-invocations", self._queued, methods=["POST"]),
                Route("/ping", _ping, methods=["GET"]),
            ],
            middleware=[Middleware(OnlyThisMachine)],
            exception_handlers={
                Exception: _failed,
                404: _unknown,
                405: _unknown,
                **dict.fromkeys(ANSWERED, _failed),
                ClientDisconnect: _left,
            },
        )

    async def _json(self, request: Request) -> Response:
        target, _, operation = request.headers.get("x-amz-target", "").partition(".")
        if target not in self._services:
            raise Refused(
                "UnknownOperationException",
                f"X-Amz-Target is {request.headers.get('x-amz-target')!r}: the local platform "
                f"serves {sorted(self._services)}",
            )
        body = await read_body(request, _MAX_JSON_BYTES)
        try:
            given = json.loads(body or b"{}")
        except (ValueError, RecursionError) as error:
            raise Refused("SerializationException", f"The body is not JSON: {error}") from error
        return result(await run_in_threadpool(self._services[target].call, operation, given))

    async def _invocation(self, request: Request) -> Response:
        model = service_model("sagemaker-runtime").operation_model("InvokeEndpoint")
        given = _given(request, model.input_shape)
        # One byte more, so that the runtime can say with the service's words what is too long.
        given |= {"EndpointName": request.path_params["name"]}
        given |= {"Body": await read_body(request, MAX_BODY_BYTES + 1)}
        answer = await run_in_threadpool(self._runtime.invoke_endpoint, **given)
        return Response(answer["Body"].read(), headers=_answered(answer, model.output_shape))

    async def _queued(self, request: Request) -> Response:
        model = service_model("sagemaker-runtime").operation_model("InvokeEndpointAsync")
        given = _given(request, model.input_shape)
        given |= {"EndpointName": request.path_params["name"]}
        answer = await run_in_threadpool(self._runtime.invoke_endpoint_async, **given)
        response = result({"InferenceId": answer["InferenceId"]})
        response.status_code = model.http["responseCode"]
        response.headers.update(_answered(answer, model.output_shape))
        return response


def serve_api(settings: Settings, port: int, announce: Callable[[str], None]) -> None:
    """Serve the API on 127.0.0.1 until SIGINT or SIGTERM.

    Args:
        port: 0 takes any free one.
        announce: called with the URL once the port is ours.

    Raises:
        SettingsError: the port is taken or not allowed.
    """
    if not 0 <= port <= _LAST_PORT:
        raise SettingsError(f"--port {port} is no port: give one up to {_LAST_PORT}, or 0 for any")
    try:
        listener = socket.create_server((HOST, port), backlog=128)
    except OSError as error:
        raise SettingsError(
            f"the API cannot listen on {HOST}:{port}: {error}; choose another --port"
        ) from error
    with listener:
        server = api_server(local_context(settings))
        announce(f"http://{HOST}:{listener.getsockname()[1]}")
        server.run(sockets=[listener])


def api_server(context: LocalContext) -> uvicorn.Server:
    """Return the server of the API, to be run with a listening socket."""
    return uvicorn.Server(
        uvicorn.Config(
            LocalApi(context).application(),
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
        )
    )


async def _ping(request: Request) -> Response:
    return Response(status_code=200)


async def _failed(request: Request, error: Exception) -> Response:
    return failure(error)


async def _unknown(request: Request, error: Exception) -> Response:
    where = f"{request.method} {request.url.path}"
    return failure(Refused("UnknownOperationException", f"The local API has no {where}"))


async def _left(request: Request, error: Exception) -> Response:
    return Response(status_code=400)


def _given(request: Request, shape: Any) -> dict[str, Any]:
    """Return the members of an operation of REST that a request has in its headers."""
    given: dict[str, Any] = {}
    for member, name in _headers(shape):
        text = request.headers.get(name)
        if text is not None:
            # Starlette reads headers as Latin-1; boto3 writes them in UTF-8.
            text = text.encode("latin-1").decode("utf-8", "replace")
            whole = shape.members[member].type_name == "integer" and text.isdecimal()
            given[member] = int(text) if whole else text
    return given


def _answered(answer: Mapping[str, Any], shape: Any) -> dict[str, str]:
    return {name: str(answer[member]) for member, name in _headers(shape) if answer.get(member)}


def _headers(shape: Any) -> list[tuple[str, str]]:
    """Return member and header of everything that REST carries in a header."""
    return [
        (member, each.serialization["name"])
        for member, each in shape.members.items()
        if each.serialization.get("location") == "header"
    ]


def _pascal(service: str, operations: Mapping[str, Operation]) -> list[str]:
    names = {xform_name(name): name for name in service_model(service).operation_names}
    return [names[name] for name in operations]
