"""``whippet up``: this project's Prefect server."""

from __future__ import annotations

import argparse

HELP = "start this project's Prefect server, if it does not run, and say how to sign in"


def command(_: argparse.Namespace) -> int:
    """Start a Prefect server unless ours runs; print where it is and how to sign in."""
    from cli.server.choosing import is_own, ui_url, use_server
    from cli.server.login import shell_command, sign_in_command
    from platforms import Settings

    settings = Settings()
    url = use_server(settings)
    print(f"Prefect UI:      {ui_url(url)}")
    if is_own(settings, url):
        print(f"password:        {sign_in_command(settings)}")
        print(f"for a shell:     {shell_command(settings)}")
    print(f"PREFECT_API_URL: {url}")
    return 0
