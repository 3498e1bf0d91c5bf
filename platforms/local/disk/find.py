"""All that can be removed from this machine's disk, the largest first."""

from __future__ import annotations

from datetime import timedelta

from platforms.local.context import LocalContext
from platforms.local.disk.old_jobs import old_jobs
from platforms.local.disk.unfinished import unfinished
from platforms.old_files import Needed, OldFiles


def find_old_files(context: LocalContext, age: timedelta, needed: Needed) -> list[OldFiles]:
    """Return what is older than ``age`` and not ``needed``; nothing of a job that has not ended."""
    found = [*old_jobs(context, age, needed), *unfinished(context.home, age)]
    return sorted(found, key=lambda each: (-each.bytes, each.what))
