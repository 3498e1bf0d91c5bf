"""``whippet clean-up``: remove what no live run owns."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from cli.old_files import age, clean_files
from cli.table import print_table
from platforms.errors import EndpointFailed, ParameterError

if TYPE_CHECKING:
    from platforms import Platform
    from tasks.leftovers.leftover import Leftover

HELP = (
    "remove what no run owns any more: endpoints whose time has passed or that failed, with their "
    "configs and models, and jobs that no run waits for"
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("endpoint", nargs="?", help="only this one, whatever its time to live")
    parser.add_argument("--all", action="store_true", help="all endpoints that Whippet made")
    parser.add_argument(
        "--idle",
        type=_hours,
        metavar="HOURS",
        help="also endpoints in service that nobody has asked for so long",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only print what would go, how old it is, its cost"
    )
    parser.add_argument(
        "--older-than",
        type=age,
        metavar="AGE",
        help="instead, files here that are older (7d, 12h): working files of ended jobs, "
        "models of lost trials, jobs of removed runs; never what a run or an endpoint needs",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")


def command(arguments: argparse.Namespace) -> int:
    """Remove endpoints, jobs, configs and models that no run owns any more; asks first."""
    from platforms import connect
    from tasks.leftovers.reaper import close_ledgers, find_leftovers
    from tasks.parameters.upkeep import CleanUpParameters

    platform = connect()
    if arguments.older_than is not None:
        if arguments.endpoint or arguments.all or arguments.idle:
            raise ParameterError(
                "--older-than is about files: give no endpoint, no --all and no --idle with it"
            )
        return clean_files(
            platform,
            arguments.older_than,
            dry_run=arguments.dry_run,
            agreed=lambda names: arguments.yes or confirmed(names, bills=False),
        )
    if arguments.idle is not None and (arguments.endpoint or arguments.all):
        raise ParameterError("--idle chooses among all endpoints: give no endpoint and no --all")
    parameters = CleanUpParameters(
        endpoint=arguments.endpoint,
        all=arguments.all,
        idle_hours=arguments.idle,
        dry_run=False,
    )
    now = datetime.now(UTC)
    found = list(find_leftovers(platform, parameters, now))
    if arguments.endpoint and not found:
        raise EndpointFailed(
            f"Whippet made no endpoint {arguments.endpoint!r}: see `whippet endpoints`"
        )
    print_table([each.row(now) for each in found], empty="nothing to remove")
    if found:
        print(_sum(platform, found, now))
    if arguments.dry_run:
        print("dry run: nothing was removed")
        return 0
    names = [each.name for each in found]
    if names and not (arguments.yes or confirmed(names, bills=platform.bills)):
        return 0
    code = _remove(platform, found)
    close_ledgers(platform)
    return code


def _hours(text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of hours above 0, such as 12")
    return hours


def _sum(platform: Platform, found: list[Leftover], now: datetime) -> str:
    """Return what all of it costs, in words."""
    hour = sum((each.usd_per_hour or Decimal(0) for each in found), Decimal(0))
    so_far = sum((each.usd(now) or Decimal(0) for each in found), Decimal(0))
    unknown = sum(each.usd_per_hour is None for each in found)
    verb = "bills" if platform.bills else "would bill on AWS"
    rest = f", and {unknown} by use, or at a price that is not known" if unknown else ""
    return f"this {verb} {hour:.4f} USD per hour, {so_far:.4f} USD so far{rest}"


def _remove(platform: Platform, found: list[Leftover]) -> int:
    """Remove what was found; one thing that cannot be removed keeps no other from it."""
    from botocore.exceptions import BotoCoreError, ClientError

    from platforms.errors import WhippetError
    from tasks.leftovers.reaper import remove_leftover

    code = 0
    for each in found:
        what = each.name if each.kind == "endpoint" else f"{each.kind} {each.name}"
        try:
            status = remove_leftover(platform, each)
        except (WhippetError, ClientError, BotoCoreError, OSError) as error:
            print(f"{what} cannot be removed: {error}", file=sys.stderr)
            code = 1
            continue
        if status is None:
            print(f"{'stopped' if each.kind.endswith('job') else 'removed'} {what}")
        else:
            said = f"{what} is {status}, and cannot be removed yet: run `whippet clean-up` again"
            print(said, file=sys.stderr)
            code = 1
    return code


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
