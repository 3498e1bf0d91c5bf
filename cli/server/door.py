"""Which requests reach Prefect's server at all: those of programs, and of its own pages.

Prefect itself checks neither the ``Host`` header (DNS rebinding) nor the origin of a web page's
request or websocket; its CORS only keeps a page from reading the answer.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from sm_entrypoints.contract.hosts import names_this_machine

_POLICY_VIOLATION = 1008


class OwnPagesOnly:
    """ASGI middleware that refuses what another site's web page may have sent; answers 403.

    ``origins`` are those of the pages that may ask, as browsers name them: ``http://HOST:PORT``.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app, self._origins = app, origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request or a websocket on, or refuse it."""
        problem = None if scope["type"] == "lifespan" else self._problem(Headers(scope=scope))
        if problem is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            # Before it is accepted: the handshake is answered with 403.
            await receive()
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": problem})
        else:
            await JSONResponse({"detail": problem}, 403)(scope, receive, send)

    def _problem(self, headers: Headers) -> str | None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not names_this_machine(hosts[0]):
            return f"The Host header is {hosts!r}: call this server as 127.0.0.1 or localhost."
        foreign = [each for each in headers.getlist("origin") if each not in self._origins]
        if foreign:
            return f"Requests from other sites' pages are refused (Origin: {foreign[0]!r})."
        return None
