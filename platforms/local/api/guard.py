"""Access control of the local API: this machine only, no web pages, bodies of limited size.

Signatures are not verified: anyone who can reach the port on 127.0.0.1 can run jobs here, just like
anyone who can start a process here. Web pages must not: a browser sends an ``Origin`` header, and a
page whose name was pointed at 127.0.0.1 (DNS rebinding) sends that name as the ``Host``.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from platforms.local.api.answers import Refused, failure
from sm_entrypoints.contract.hosts import names_this_machine

# A client that is still sending reads no answer: this much of a refused body is read and dropped.
_DRAIN_BYTES = 64 * 1024 * 1024


class OnlyThisMachine:
    """ASGI middleware that answers 403 to requests that a web page may have made."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":  # No websockets here, and no lifespan to tell anybody of.
            return
        problem = _problem(Request(scope))
        if problem is None:
            await self._app(scope, receive, send)
            return
        await failure(Refused("AccessDeniedException", problem, 403))(scope, receive, send)


def _problem(request: Request) -> str | None:
    hosts = request.headers.getlist("host")
    if len(hosts) != 1 or not names_this_machine(hosts[0]):
        host = ", ".join(hosts)
        return f"the Host header is {host!r}: call this API as 127.0.0.1 or localhost"
    if "origin" in request.headers:
        return f"requests from web pages are refused (Origin: {request.headers['origin']!r})"
    return None


async def read_body(request: Request, most: int) -> bytes:
    """Return a request's body of at most ``most`` bytes.

    Raises:
        Refused: it is longer; what the client still sends is read up to a limit and dropped.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= most:
            chunks.append(chunk)
        elif size > _DRAIN_BYTES:
            break
    if size > most:
        raise Refused(
            "RequestEntityTooLargeException", f"The body is longer than {most:,} bytes.", 413
        )
    return b"".join(chunks)
