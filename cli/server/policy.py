"""What the server's pages may load, and whom they may call: only this server.

Prefect's pages carry a library that asks its maker on the internet for configuration, even where
analytics are switched off. The browser itself keeps them from it.
"""

from __future__ import annotations

from collections.abc import Collection

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADER = "Content-Security-Policy"


def content_policy(origins: Collection[str]) -> str:
    """Return the policy of pages that belong to ``origins`` (``http://HOST:PORT``).

    A page that was opened as ``localhost`` calls the server as ``127.0.0.1``: each may call all.
    """
    own = " ".join(origins)
    sockets = own.replace("http://", "ws://")
    rules = {
        "default-src": "'self'",
        # What draws a run's graph compiles its shaders from text.
        "script-src": "'self' 'unsafe-eval'",
        "worker-src": "'self' blob:",
        "style-src": "'self' 'unsafe-inline'",
        "img-src": "'self' data: blob:",
        "font-src": "'self' data:",
        "connect-src": f"'self' {own} {sockets} data: blob:",
        "object-src": "'none'",
        "base-uri": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


class StaysHere:
    """ASGI middleware that sends the policy with every answer to a request."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        self._app, self._policy = app, content_policy(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does, with the policy."""

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[_HEADER] = self._policy
            await send(message)

        await self._app(scope, receive, sent if scope["type"] == "http" else send)
