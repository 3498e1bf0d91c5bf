"""``whippet jobs``: tuning, training and transform jobs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.table import print_table
from platforms.job_status import TERMINAL
from tasks.requests.pages import pages

if TYPE_CHECKING:
    from platforms import Platform

HELP = "list tuning, training and transform jobs"
# What a person calls them, and SageMaker.
_KINDS = (
    ("tuning", "HyperParameterTuning"),
    ("training", "Training"),
    ("transform", "Transform"),
)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    statuses = ("InProgress", "Completed", "Failed", "Stopping", "Stopped")
    parser.add_argument("--status", choices=statuses, help="only jobs of this status")


def command(arguments: argparse.Namespace) -> int:
    """Print tuning, training and transform jobs, newest first."""
    from platforms import connect

    platform = connect()
    newest = {"SortBy": "CreationTime", "SortOrder": "Descending"}
    if arguments.status:
        newest["StatusEquals"] = arguments.status
    rows = [row for kind, noun in _KINDS for row in _listed(platform, kind, noun, newest)]
    rows.sort(key=lambda row: row["created"], reverse=True)
    print_table(rows, empty="no jobs")
    return 0


def _listed(
    platform: Platform, kind: str, noun: str, newest: dict[str, str]
) -> Iterator[dict[str, str]]:
    """Yield the jobs of a kind; no transform jobs for users without the permission to list them."""
    from botocore import xform_name

    from platforms.client_errors import AccessDenied

    list_jobs = getattr(platform.sagemaker, f"list_{xform_name(noun)}_jobs")
    with suppress(*((AccessDenied,) if kind == "transform" else ())):
        for page in pages(lambda paging: list_jobs(**newest, **paging)):
            for job in page[f"{noun}JobSummaries"]:
                yield _row(kind, noun, job)


def _row(kind: str, noun: str, job: dict[str, Any]) -> dict[str, str]:
    created, status, ended = job["CreationTime"], job[f"{noun}JobStatus"], job.get(f"{noun}EndTime")
    if ended is None and status in TERMINAL:  # it failed before it could start
        ended = job.get("LastModifiedTime")
    seconds = ((ended or datetime.now(UTC)) - created).total_seconds()
    return {
        "kind": kind,
        "name": job[f"{noun}JobName"],
        "status": status,
        "created": f"{created:%Y-%m-%d %H:%M:%S}",
        "seconds": f"{seconds:.0f}",
    }
