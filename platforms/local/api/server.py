"""The local SageMaker over HTTP: what ``whippet api`` serves on 127.0.0.1.

One port speaks the protocols of SageMaker, CloudWatch and CloudWatch Logs
(:mod:`platforms.local.api.wire`) and the REST API of ``sagemaker-runtime``, so boto3, the AWS CLI
and the SageMaker SDKs need only endpoint URLs. Requests and answers go through botocore's own model
of the service.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from platforms.local.api.answers import ANSWERED, Refused, failure, result
from platforms.local.api.guard import OnlyThisMachine, read_body
from platforms.local.api.wire.protocols import Protocols
from platforms.local.api.wire.services import services_of
from platforms.local.context import LocalContext, local_context
from platforms.local.hosting.runtime import MAX_BODY_BYTES, LocalRuntime
from platforms.loopback import HOST, listen_as_asked
from platforms.settings import Settings
from platforms.validation import service_model

# Longer than clients keep an idle connection for.
_KEEP_ALIVE_SECONDS = 75
_DRAIN_SECONDS = 10
# Where clients of Smithy's RPC v2 post to.
_RPC = "/service/{service}/operation/{operation}"
_INVOCATIONS = "/endpoints/{name}/invocations"
_ASYNC_INVOCATIONS = "/endpoints/{name}/async-invocations"
_PATHS = (
    "POST /",
    f"POST {_RPC}",
    f"POST {_INVOCATIONS}",
    f"POST {_ASYNC_INVOCATIONS}",
    "GET /ping",
)


class LocalApi:
    """The routes of the API over one context; every call runs in a thread of its own."""

    def __init__(self, context: LocalContext) -> None:
        self._protocols = Protocols(services_of(context))
        self._runtime = LocalRuntime(context)

    def application(self) -> Starlette:
        """Return the ASGI application."""
        return Starlette(
            routes=[
                Route("/", self._protocols.root, methods=["POST"]),
                Route(_RPC, self._protocols.rpc, methods=["POST"]),
                Route(_INVOCATIONS, self._invocation, methods=["POST"]),
                Route(_ASYNC_INVOCATIONS, self._queued, methods=["POST"]),
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

    async def _invocation(self, request: Request) -> Response:
        model = service_model("sagemaker-runtime").operation_model("InvokeEndpoint")
        arguments = _given(request, model.input_shape)
        # One byte more, so that the runtime can say with the service's words what is too long.
        arguments |= {"EndpointName": request.path_params["name"]}
        arguments |= {"Body": await read_body(request, MAX_BODY_BYTES + 1)}
        answer = await run_in_threadpool(self._runtime.invoke_endpoint, **arguments)
        return Response(answer["Body"].read(), headers=_answered(answer, model.output_shape))

    async def _queued(self, request: Request) -> Response:
        model = service_model("sagemaker-runtime").operation_model("InvokeEndpointAsync")
        arguments = _given(request, model.input_shape)
        arguments |= {"EndpointName": request.path_params["name"]}
        answer = await run_in_threadpool(self._runtime.invoke_endpoint_async, **arguments)
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
    with listen_as_asked(port, what="the API") as listener:
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
    status = error.status_code if isinstance(error, HTTPException) else 404
    where = f"{request.method} {request.url.path}"
    message = f"The local API has no {where}; it has {', '.join(_PATHS)}."
    response = failure(Refused("UnknownOperationException", message, status))
    if isinstance(error, HTTPException):
        response.headers.update(error.headers or {})
    return response


async def _left(request: Request, error: Exception) -> Response:
    return Response(status_code=400)


def _given(request: Request, shape: Any) -> dict[str, Any]:
    """Return the members of an operation of REST that a request has in its headers."""
    members: dict[str, Any] = {}
    for member, name in _headers(shape):
        text = request.headers.get(name)
        if text is not None:
            # Starlette reads headers as Latin-1; boto3 writes them in UTF-8.
            text = text.encode("latin-1").decode("utf-8", "replace")
            whole = shape.members[member].type_name == "integer" and text.isdecimal()
            members[member] = int(text) if whole else text
    return members


def _answered(answer: Mapping[str, Any], shape: Any) -> dict[str, str]:
    return {name: str(answer[member]) for member, name in _headers(shape) if answer.get(member)}


def _headers(shape: Any) -> list[tuple[str, str]]:
    """Return member and header of everything that REST carries in a header."""
    return [
        (member, each.serialization["name"])
        for member, each in shape.members.items()
        if each.serialization.get("location") == "header"
    ]
