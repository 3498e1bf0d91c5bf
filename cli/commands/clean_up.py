"""``whippet clean-up``: remove endpoints, and what is left without one."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from cli.commands.endpoints import endpoint_row
from cli.table import print_table
from platforms.errors import EndpointFailed, ParameterError

HELP = "remove endpoints whose time to live has passed, with their configs and models"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("endpoint", nargs="?", help="only this one, whatever its time to live")
    parser.add_argument("--all", action="store_true", help="all endpoints that Whippet made")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def command(arguments: argparse.Namespace) -> int:
    """Remove endpoints with their configs and models, and what is left without one; asks first."""
    from platforms import connect
    from tasks.costs.stop_billing import delete_with_config_and_models
    from tasks.endpoints.inventory import list_endpoints, meant_by
    from tasks.endpoints.unused import list_unused
    from tasks.parameters.run import CleanUpParameters

    platform = connect()
    parameters = CleanUpParameters(endpoint=arguments.endpoint, all=arguments.all, dry_run=False)
    now = datetime.now(UTC)
    chosen = meant_by(parameters, list_endpoints(platform), now)
    if arguments.endpoint and not chosen:
        raise EndpointFailed(
            f"Whippet made no endpoint {arguments.endpoint!r}: see `whippet endpoints`"
        )
    left = meant_by(parameters, list_unused(platform), now)
    empty = "no endpoint to remove" if left else "nothing to remove"
    print_table([endpoint_row(state) for state in chosen], empty=empty)
    if left:
        print_table([{"left alone": each.name, "kind": each.kind} for each in left], empty="")
    names = [state.name for state in chosen] + [each.name for each in left]
    if not names or not (arguments.yes or confirmed(names, bills=platform.bills)):
        return 0
    for state in chosen:
        delete_with_config_and_models(platform, state.name)
        print(f"removed {state.name}")
    for each in left:
        each.resource.delete(platform.sagemaker, each.name)
        print(f"removed {each.kind} {each.name}")
    return 0


def confirmed(names: list[str], *, bills: bool) -> bool:
    """Ask for confirmation; on AWS the name (or the count) must be typed.

    Raises:
        ParameterError: there is no terminal to ask at.
    """
    if not sys.stdin.isatty():
        raise ParameterError("no terminal to confirm at: add --yes")
    wanted = "yes"
    if bills:
        wanted = names[0] if len(names) == 1 else str(len(names))
    try:
        answer = input(f"remove {', '.join(names)}? type {wanted}: ").strip()
    except EOFError:  # Ctrl-D is no yes
        return False
    if answer != wanted:
        print("nothing was removed")
    return answer == wanted
