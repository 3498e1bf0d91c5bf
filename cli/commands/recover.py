"""``whippet recover``: continue runs whose process died, by hand."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.table import print_table
from cli.unknown_run import no_run

if TYPE_CHECKING:
    from cli.operation.interrupted import Interrupted
    from platforms import Settings

HELP = "continue runs whose process died: they adopt their jobs and do only what is missing"
# A run that crashed a moment ago may be marked twice: `recover-runs` leaves it alone so long.
_SETTLED_SECONDS, _PASSES = 20, 3


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="only these (default: all of the last week)"
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be done")


def command(arguments: argparse.Namespace) -> int:
    """Send runs of deployments back to their worker, go on with the others here, one by one.

    Returns 1 when one of them did not come to its end here.
    """
    from platforms import Settings
    from tasks.runs.record import every_run

    settings = Settings()
    known = {run.name for run in every_run(settings)} if arguments.runs else set()
    for name in arguments.runs:
        if name not in known:
            raise no_run(settings, name)
    found = _look(settings, arguments)
    print_table([each.row for each in found], empty="no run was interrupted")
    sys.stdout.flush()
    if arguments.dry_run:
        return 0
    _send_back(settings, [each for each in found if each.place == "worker"])
    here = [each for each in found if each.place == "here"]
    failed = [each.run.name for each in here if not _go_on(settings, each)]
    if failed:
        print(f"did not come to its end: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _look(settings: Settings, arguments: argparse.Namespace) -> list[Interrupted]:
    """Judge the runs; ask the server which of them have a worker.

    One that was there is started again, but not to say only what would be done.
    """
    from cli.server.choosing import known_server, use_server
    from cli.server.login import last_address

    url = known_server(settings)
    if url is None and last_address(settings) is not None:
        if arguments.dry_run:
            print("no server answers, so it is not known which runs have a worker")
        else:
            url = use_server(settings)
    # Prefect reads its settings when it is imported.
    from prefect import get_client

    from cli.operation.interrupted import interrupted_runs

    if url is None:
        return interrupted_runs(settings, None, arguments.runs)
    with get_client(sync_client=True) as client:
        return interrupted_runs(settings, client, arguments.runs)


def _send_back(settings: Settings, runs: Sequence[Interrupted]) -> None:
    """Do what the deployment `recover-runs` does, for these runs, and say how it went."""
    if not runs:
        return
    from cli.console import quiet_console
    from flows.recover_runs import recover_runs
    from tasks.parameters.upkeep import RecoverParameters
    from tasks.runs.ownership import at_work

    quiet_console()
    for each in runs:
        name, sent = each.run.name, False
        for attempt in range(_PASSES):
            if attempt:
                print(f"run {name!r}: looking again in {_SETTLED_SECONDS} s …", flush=True)
                time.sleep(_SETTLED_SECONDS)
            sent = bool(recover_runs(RecoverParameters(run=name, settled_seconds=_SETTLED_SECONDS)))
            if sent or at_work(settings, name):
                break
        said = (
            "is on its way to its worker" if sent else "was not sent back: see its page in the UI"
        )
        print(f"run {name!r} {said}", flush=True)
    _say_without_worker()


def _say_without_worker() -> None:
    from prefect import get_client

    from cli.operation.status import online_workers

    with get_client(sync_client=True) as client:
        if not online_workers(client):
            print("no worker is online: `whippet up` starts one, and the runs go on with it")


def _go_on(settings: Settings, each: Interrupted) -> bool:
    """Do what `whippet run --resume` does; say what went wrong, so that the next one follows."""
    from cli.main import main

    print(f"\ngoing on with run {each.run.name!r} …", flush=True)
    return main(["run", "--platform", each.run.platform, "--resume", each.run.name]) == 0
