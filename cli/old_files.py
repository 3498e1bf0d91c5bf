"""``whippet clean-up --older-than``: what old jobs left on this machine's disk."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cli.table import print_table

if TYPE_CHECKING:
    from platforms import Platform

_AGE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[dh]?)")


def age(text: str) -> timedelta:
    """Return an age as people type it: ``7`` or ``7d`` (days), ``12h`` (hours).

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    found = _AGE.fullmatch(text.strip().lower())
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no age: give days (7d) or hours (12h)")
    number = float(found["number"])
    try:
        return timedelta(hours=number) if found["unit"] == "h" else timedelta(days=number)
    except OverflowError:
        raise argparse.ArgumentTypeError(f"{text!r} is longer than time has lasted") from None


def clean_files(
    platform: Platform, older: timedelta, *, dry_run: bool, agreed: Callable[[list[str]], bool]
) -> int:
    """Print what is older and not needed, with its size, and remove it if that is ``agreed``."""
    from tasks.leftovers.leftover import age as aged
    from tasks.leftovers.needs import needed_by_runs

    found = platform.old_files(older, needed_by_runs(platform.settings))
    now = datetime.now(UTC)
    rows = [
        {
            "MB": f"{each.bytes / 1e6:,.1f}".rjust(9),
            "age": aged(now - each.changed),
            "what": each.what,
        }
        for each in found
    ]
    print_table(rows, empty="nothing old to remove")
    megabytes = sum(each.bytes for each in found) / 1e6
    if dry_run:
        print(f"dry run: nothing was removed; {megabytes:,.1f} MB would be free again")
        return 0
    if not found or not agreed([f"{len(found)} things"]):
        return 0
    for each in found:
        each.remove()
    print(f"{megabytes:,.1f} MB are free again")
    return 0
