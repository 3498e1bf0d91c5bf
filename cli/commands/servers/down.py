"""``whippet down``: stop what Whippet started on this machine."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from platforms import Settings

HELP = "stop what Whippet started on this machine, only that"


def command(_: argparse.Namespace) -> int:
    """Stop our worker with its runs, what the platform runs here, and our Prefect server."""
    from cli.operation.worker import stop_worker
    from platforms import Settings, connect

    settings = Settings()
    try:
        # First: it must not start another run while the rest goes. Runs tell the server their end.
        for name in stop_worker(settings):
            print(f"stopped {name}")
        for name in connect(settings).shut_down():
            print(f"stopped {name}")
    finally:  # also when there is no platform to ask
        _stop_server(settings)
    return 0


def _stop_server(settings: Settings) -> None:
    from cli.server.choosing import STOP_SECONDS
    from cli.server.login import last_address
    from cli.server.notes import ui_url
    from cli.server.prefect_profile import profiles_file, take_back
    from cli.server.record import read_server, record_file
    from platforms.processes.process import terminate_group

    server = read_server(settings)
    if server is not None:
        terminate_group(server, STOP_SECONDS)
        print(f"stopped the Prefect server at {ui_url(server.api_url)}")
    record_file(settings).unlink(missing_ok=True)
    # Also that of a server that was killed.
    if url := server.api_url if server else last_address(settings):
        take_back(profiles_file(os.environ), url)
