"""Serve the pages on 127.0.0.1, to this machine's own browser and to nobody else's page."""

from __future__ import annotations

from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from cli.server.door import OwnPagesOnly
from cli.ui.pages import Pages, not_found
from platforms import Settings, connect
from platforms.errors import SettingsError
from platforms.loopback import HOST, listen
from sm_entrypoints.contract.sentences import clause
from tasks.browse.asking import EndpointsInService

_LAST_PORT = 65_535
_DRAIN_SECONDS = 3


def serve_pages(settings: Settings, port: int, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        port: 0 takes any free one.
        announce: called with the address once the port is ours.

    Raises:
        SettingsError: the port is taken or not allowed.
    """
    if not 0 <= port <= _LAST_PORT:
        raise SettingsError(f"--port {port} is out of range: use 1 to {_LAST_PORT}, or 0 for any")
    try:
        listener = listen(port, backlog=64)
    except OSError as error:
        raise SettingsError(
            f"the pages cannot be served on {HOST}:{port}: {clause(error)}; choose another --port"
        ) from error
    with listener:
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
