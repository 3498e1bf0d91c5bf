"""Serve the pages on 127.0.0.1, to this machine's own browser and to nobody else's page."""

from __future__ import annotations

from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from cli.server.door import OwnPagesOnly
from cli.ui.pages import Pages, not_found
from platforms import Settings, connect
from platforms.loopback import HOST, listen_as_asked
from tasks.browse.asking import EndpointsInService

_DRAIN_SECONDS = 3


def serve_pages(settings: Settings, port: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        port: 0 takes any free one.
        announce: called with the address once the port is ours.

    Raises:
        SettingsError: the port is taken or not allowed.
    """
    with listen_as_asked(port, what="the server of the pages") as listener:
        taken = listener.getsockname()[1]
        server = uvicorn.Server(
            uvicorn.Config(
                application(settings, taken),
                lifespan="off",
                log_level="warning",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_DRAIN_SECONDS,
            )
        )
        announce(f"http://{HOST}:{taken}")
        server.run(sockets=[listener])


def application(
    settings: Settings, port: int, *, endpoints: EndpointsInService | None = None
) -> Starlette:
    """Return the ASGI application of the pages, which will be served on ``port``.

    ``endpoints`` are those to try; by default those of the platform that the settings name.
    """
    pages = Pages(settings, endpoints or EndpointsInService(lambda: connect(settings)))
    origins = [f"http://{name}:{port}" for name in (HOST, "localhost")]
    return Starlette(
        routes=pages.routes(),
        middleware=[Middleware(OwnPagesOnly, origins=origins)],
        exception_handlers={404: not_found, 405: not_found},
    )
