"""The process of the Prefect server: ``python -m cli.server.program HOME PORT``.

It takes the port, or another one if that is in use, records which, and serves Prefect behind its
login, with CSRF tokens, to its own pages and to programs on this machine.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
from contextlib import suppress
from pathlib import Path

from cli.server.database import empty_database, place_database
from cli.server.login import VARIABLE, make_login, prefect_home, write_shell_file
from cli.server.record import Server, write_server
from platforms import Settings
from platforms.loopback import HOST, listen
from platforms.processes.process import identify

# Less than `whippet down` waits for: a page that stays open must not turn an end into a kill.
_GRACE_SECONDS = 5


def main() -> None:
    """Serve until SIGTERM."""
    gc.disable()  # until all is imported: nothing of it is garbage
    settings, port = Settings(home=Path(sys.argv[1])), int(sys.argv[2])
    login = make_login(settings)
    with _listen(port) as listener:
        url = f"http://{HOST}:{listener.getsockname()[1]}/api"
        write_shell_file(settings, url, login)
        write_server(settings, Server.of(identify(os.getpid()), api_url=url))
        _serve(settings, listener, url, login)


def _listen(port: int) -> socket.socket:
    """Return a listening socket on that port, or on a free one, so that nobody else can take it."""
    try:
        return listen(port, backlog=2048)
    except OSError:
        return listen(0, backlog=2048)


def _serve(settings: Settings, listener: socket.socket, url: str, login: str) -> None:
    port = listener.getsockname()[1]
    origins = [f"http://{name}:{port}" for name in (HOST, "localhost")]
    os.environ.update(
        {
            "PREFECT_HOME": str(prefect_home(settings)),
            "PREFECT_API_URL": url,
            "PREFECT_UI_API_URL": url,
            VARIABLE: login,
            "PREFECT_SERVER_API_AUTH_STRING": login,
            "PREFECT_SERVER_CSRF_PROTECTION_ENABLED": "true",
            "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": ",".join(origins),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
            "PREFECT_SERVER_LOGGING_LEVEL": "WARNING",
        }
    )
    # Prefect reads its settings when it is imported.
    import uvicorn
    from prefect.settings import get_current_settings

    database = get_current_settings().server.database.connection_url
    if database is not None and database.get_secret_value().startswith("sqlite"):
        with suppress(OSError):  # Prefect says so itself.
            place_database(prefect_home(settings), empty_database())
    from prefect.server.api.server import create_app

    from cli.server.door import OwnPagesOnly
    from cli.server.patience import OrdersAreKept
    from cli.server.policy import StaysHere

    config = uvicorn.Config(
        StaysHere(OwnPagesOnly(OrdersAreKept(create_app(final=True)), origins), origins),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    gc.freeze()
    gc.enable()
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
