"""``whippet status``: server, worker, schedules, runs, endpoints, and what bills."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from cli.table import print_table
from sm_entrypoints.contract.sentences import clause

if TYPE_CHECKING:
    from platforms import Settings

HELP = "show server, worker, schedules, runs in progress, endpoints, and what bills"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--json", action="store_true", help="the same, for programs")


def command(arguments: argparse.Namespace) -> int:
    """Print what runs now; start nothing, change nothing."""
    from platforms import Settings

    settings = Settings()
    found = {**_of_server(settings), **_of_platform(settings)}
    if arguments.json:
        print(json.dumps(found, indent=1, ensure_ascii=False))
        return 0
    for name in ("server", "worker"):
        print(f"{name}:  {found[name]}")
    for title, empty in (
        ("workers", "no worker is online: runs of deployments do not start"),
        ("schedules", "no schedules"),
        ("runs", "no run is in progress"),
        ("questions", "nobody is waited for"),
        ("endpoints", "no endpoints"),
        ("bills", "nothing bills"),
    ):
        if found["server"].startswith("none") and title not in ("endpoints", "bills"):
            continue
        print(f"\n{title}", flush=True)
        print_table(found[title], empty=empty)
    if found["total"]:
        print(found["total"])
    return 0


def _of_server(settings: Settings) -> dict[str, Any]:
    from cli.operation.worker import read_worker, worker_log
    from cli.server.choosing import known_server
    from cli.server.notes import ui_url

    worker = read_worker(settings)
    ours = f"{worker.name}, process {worker.pid}, log {worker_log(settings)}" if worker else ""
    found: dict[str, Any] = {"worker": ours or "none of this folder: `whippet up` starts one"}
    url = known_server(settings)
    if url is None:
        return {**found, "server": "none answers: `whippet up` starts one"}
    # Prefect reads its settings when it is imported.
    from prefect import get_client

    from cli.operation.status import look_at

    with get_client(sync_client=True) as client:
        now = look_at(client, settings, ui_url(url))
    return {**found, "server": ui_url(url), **now._asdict()}


def _of_platform(settings: Settings) -> dict[str, Any]:
    from botocore.exceptions import BotoCoreError, ClientError

    from cli.commands.endpoints import endpoint_row
    from platforms import connect
    from platforms.errors import WhippetError
    from tasks.costs.still_billing import still_billing, total_sentence
    from tasks.endpoints.inventory import list_endpoints

    try:
        platform = connect(settings)
        endpoints = [endpoint_row(state) for state in list_endpoints(platform)]
        billing = still_billing(platform)
    except (WhippetError, BotoCoreError, ClientError, OSError) as error:
        print(f"could not ask for endpoints and costs: {clause(error)}", file=sys.stderr)
        return {"endpoints": [], "bills": [], "total": ""}
    total = total_sentence(billing, bills=platform.bills) if billing else ""
    return {"endpoints": endpoints, "bills": [each.row for each in billing], "total": total}
