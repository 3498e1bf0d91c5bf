"""Which requests reach a model server that listens for this machine alone: no web page's.

A browser sends an ``Origin`` header, and a page whose name was pointed at 127.0.0.1 (DNS rebinding)
sends that name as the ``Host``. Not for servers in a container, whose clients come from elsewhere.
"""

from __future__ import annotations

import ipaddress

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from sm_entrypoints.contract.hosts import names_this_machine


def guarded(app: ASGIApp, address: str) -> ASGIApp:
    """Return an application that lets no web page in, if it listens at an address of this machine.

    In a container it listens at every address: there, requests come under other names.
    """
    return ThisMachineOnly(app) if _is_for_this_machine(address) else app


def _is_for_this_machine(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class ThisMachineOnly:
    """ASGI middleware that answers 403 to what a web page may have sent."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        problem = _problem(scope) if scope["type"] == "http" else None
        if problem is None:
            await self._app(scope, receive, send)
            return
        # Its body stays unread, so the connection cannot go on.
        refused = JSONResponse({"error": problem}, 403, headers={"Connection": "close"})
        await refused(scope, receive, send)


def _problem(scope: Scope) -> str | None:
    hosts = [value for name, value in scope["headers"] if name == b"host"]
    if len(hosts) != 1 or not names_this_machine(hosts[0].decode("latin-1")):
        named = ", ".join(each.decode("latin-1") for each in hosts)
        return f"The Host header is {named[:200]!r}: call this server as 127.0.0.1 or localhost."
    if any(name == b"origin" for name, _ in scope["headers"]):
        return "Requests from web pages are refused."
    return None
