"""``whippet ui``: pages over the runs of this home."""

from __future__ import annotations

import argparse

from cli.console import open_page

HELP = "look at runs in a browser: list, compare, open reports, try the newest model"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--port", type=int, default=4190, help="on 127.0.0.1 (default 4190; 0: any)"
    )
    parser.add_argument("--open", action="store_true", help="show it in a browser")


def command(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C; prints the address first."""
    from cli.ui.server import serve_pages
    from platforms import Settings

    def announce(url: str) -> None:
        print(f"{url}  (Ctrl-C ends it)", flush=True)
        if arguments.open:
            open_page(url)

    try:
        serve_pages(Settings(), arguments.port, announce)
    except KeyboardInterrupt:
        return 0
    return 0
