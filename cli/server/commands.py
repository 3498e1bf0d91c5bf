"""``whippet up`` and ``whippet down``."""

from __future__ import annotations

import argparse

from cli.server.choosing import STOP_SECONDS, is_own, ui_url, use_server
from cli.server.login import shell_command, sign_in_command
from cli.server.record import read_server, record_file
from platforms import Settings, connect
from platforms.processes.process import terminate_group


def up(_: argparse.Namespace) -> int:
    """Start a Prefect server unless ours runs; print where it is and how to sign in."""
    settings = Settings()
    url = use_server(settings)
    print(f"Prefect UI:      {ui_url(url)}")
    if is_own(settings, url):
        print(f"password:        {sign_in_command(settings)}")
        print(f"for a shell:     {shell_command(settings)}")
    print(f"PREFECT_API_URL: {url}")
    return 0


def down(_: argparse.Namespace) -> int:
    """Stop our Prefect server, and what the platform runs on this machine."""
    settings = Settings()
    try:
        for name in connect(settings).shut_down():
            print(f"stopped {name}")
    finally:  # also when there is no platform to ask
        _stop_server(settings)
    return 0


def _stop_server(settings: Settings) -> None:
    server = read_server(settings)
    if server is not None:
        terminate_group(server.process, STOP_SECONDS)
        print(f"stopped the Prefect server at {ui_url(server.api_url)}")
    record_file(settings).unlink(missing_ok=True)
