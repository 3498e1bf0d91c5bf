"""``whippet up``: all that runs of deployments need, on this machine."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from platforms import Settings

HELP = "start server and worker, apply deployments and automations, and say where to look"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "--server-only", action="store_true", help="the Prefect server, and nothing else"
    )
    parser.add_argument(
        "--no-worker", action="store_true", help="all but the worker: others run elsewhere"
    )
    parser.add_argument(
        "--profile",
        action=argparse.BooleanOptionalAction,
        help="let Prefect's own commands find this server in every shell and folder, by a profile "
        "that becomes the active one (default: until `whippet down`, and only if you have not set "
        "up Prefect yourself)",
    )


def command(arguments: argparse.Namespace) -> int:
    """Put in place what is not there yet; print where it is and how to sign in."""
    from cli.server.choosing import is_own, use_server
    from cli.server.login import shell_command, sign_in_command
    from cli.server.notes import ui_url
    from cli.server.prefect_profile import is_free, keep_own_profile, profiles_file
    from platforms import Settings

    settings, profiles, free = Settings(), profiles_file(os.environ), is_free(os.environ)
    url = use_server(settings)
    print(f"Prefect UI:      {ui_url(url)}")
    own = is_own(settings, url)
    if own:
        print(f"password:        {sign_in_command(settings)}")
        print(f"for a shell:     {shell_command(settings)}")
    print(f"PREFECT_API_URL: {url}", flush=True)
    kept = bool(arguments.profile)
    if kept:
        print(f"profile:         {keep_own_profile(settings, profiles, url)}")
    elif arguments.profile is None and own and free:
        kept = _lend_profile(settings, profiles, url)
    if not arguments.server_only:
        _put_in_place(settings, url, worker=not arguments.no_worker)
        print(f"start a run:     {_prefect(settings, known=kept or not own)}")
        print("look around:     whippet status", flush=True)
    return 0


def _lend_profile(settings: Settings, profiles: Path, url: str) -> bool:
    """Let Prefect's own commands find the server until `whippet down`; say whether they do."""
    from cli.server.prefect_profile import keep_own_profile
    from platforms.errors import SettingsError

    try:
        print(f"profile:         {keep_own_profile(settings, profiles, url, lent=True)}")
    except SettingsError as error:
        print(f"note: {error}", file=sys.stderr)
        return False
    return True


def _put_in_place(settings: Settings, url: str, *, worker: bool) -> None:
    # Prefect reads its settings when it is imported.
    from prefect import get_client

    from cli.operation.automation_file import read_automations
    from cli.operation.deployments import ensure_deployments, ensure_pool, is_online
    from cli.operation.put_in_place import apply_automations
    from cli.operation.worker import POOL, ensure_worker, worker_log
    from sm_entrypoints.contract.sentences import counted

    watched = read_automations()  # a mistake in it must not leave half of the rest
    print("applying the deployments …", file=sys.stderr, flush=True)
    with get_client(sync_client=True) as client:
        ensure_pool(client)
        applied = ensure_deployments(client)
        said = "applied" if applied.changed else "as they were"
        print(f"deployments:     {counted(len(applied.names), 'deployment')}, {said}")
        print(apply_automations(client, watched), flush=True)
        if worker:
            ours = ensure_worker(settings, url, lambda name: is_online(client, name))
            print(f"worker:          {ours.name}, pool {POOL}, log {worker_log(settings)}")


def _prefect(settings: Settings, *, known: bool) -> str:
    """Return the command that starts a run, from a new shell in any folder."""
    from cli.server.login import prefect_program, shell_command

    command = f"{prefect_program()} deployment run release-model/local --watch"
    return command if known else f"{shell_command(settings)} && {command}"
