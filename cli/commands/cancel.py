"""``whippet cancel``: end a run, or its improvement, from anywhere."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING

from cli.unknown_run import no_run
from platforms.errors import ParameterError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from platforms import Platform, Settings
    from tasks.runs.names import RunIdentity

HELP = "cancel a run: stop its jobs, remove its endpoint, and never resume it by itself"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("run", help="name of the run; `latest` is the newest")
    parser.add_argument(
        "--improvement", action="store_true", help="only what `whippet improve` measures for it"
    )


def command(arguments: argparse.Namespace) -> int:
    """Cancel a run or its improvements, whether their processes, a worker or a server live."""
    from platforms import Settings, connect
    from tasks.runs.record import known_run, settings_of

    settings = Settings()
    run = known_run(settings, arguments.run)
    if run is None:
        raise no_run(settings, arguments.run)
    platform = connect(settings_of(run))
    end = _end_improvements if arguments.improvement else _end_run
    stopped = _with_server(settings, lambda client: end(client, platform, run))
    for name in stopped:
        print(f"stopped {name}")
    if arguments.improvement:
        print(f"no improvement of run {run.name!r} goes on")
    else:
        print(f"run {run.name!r} is cancelled; resume with: {_resume(run)}")
    return 0


def _resume(run: RunIdentity) -> str:
    return f"whippet run --resume {shlex.quote(run.name)}"


def _with_server(
    settings: Settings, work: Callable[[SyncPrefectClient | None], list[str]]
) -> list[str]:
    """Do it with the Prefect server, which knows runs; where there never was one, without."""
    import os

    from cli.server.choosing import use_server
    from cli.server.login import last_address

    # One that was there is started again: a process that still works must see the cancel.
    if last_address(settings) is None and "PREFECT_API_URL" not in os.environ:
        return work(None)
    use_server(settings)
    # Prefect reads its settings when it is imported.
    from prefect import get_client

    with get_client(sync_client=True) as client:
        return work(client)


def _end_run(client: SyncPrefectClient | None, platform: Platform, run: RunIdentity) -> list[str]:
    """Stop a run, and write that down where it is known.

    Raises:
        ParameterError: it has completed.
    """
    from cli.operation.interrupted import flow_run_of
    from tasks.runs.record import read_run

    if read_run(platform.settings, run.name).status == "completed":
        raise ParameterError(
            f"run {run.name!r} has completed: there is nothing to cancel. `whippet clean-up "
            "ENDPOINT` removes its endpoint, `--improvement` cancels what measures a change of it"
        )
    if client is not None and flow_run_of(client, run.flow_run_id):
        from tasks.cancelled_runs import cancel_run

        return cancel_run(client, platform, run)
    from tasks.costs.stop_billing import stop_everything
    from tasks.runs.record import finish

    stopped = stop_everything(platform, run)
    finish(platform.settings, run, "cancelled")
    return stopped


def _end_improvements(
    client: SyncPrefectClient | None, platform: Platform, run: RunIdentity
) -> list[str]:
    """Stop every comparison of a run; whoever waits for one sees that it was cancelled."""
    from cli.operation.interrupted import flow_run_of
    from tasks.requests.stop import stop_run
    from tasks.runs.improvements import improvements_of

    for each in improvements_of(platform.settings, run):
        if client is not None and flow_run_of(client, each.flow_run_id):
            from tasks.cancelled_runs import ask_to_end

            ask_to_end(client, each.flow_run_id)
    return stop_run(platform, run, ["improve"])
