"""``whippet jobs``: tuning, training and transform jobs."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

from cli.table import print_table
from platforms.job_status import TERMINAL
from tasks.requests.pages import pages

if TYPE_CHECKING:
    from platforms import Platform

HELP = "list tuning, training and transform jobs"


class _Newest(TypedDict):
    SortBy: Literal["CreationTime"]
    SortOrder: Literal["Descending"]
    StatusEquals: NotRequired[Literal["InProgress", "Completed", "Failed", "Stopping", "Stopped"]]


class _Times(TypedDict):
    CreationTime: datetime
    LastModifiedTime: NotRequired[datetime]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    statuses = ("InProgress", "Completed", "Failed", "Stopping", "Stopped")
    parser.add_argument("--status", choices=statuses, help="only jobs of this status")


def command(arguments: argparse.Namespace) -> int:
    """Print tuning, training and transform jobs, newest first."""
    from platforms import connect

    platform = connect()
    newest: _Newest = {"SortBy": "CreationTime", "SortOrder": "Descending"}
    if arguments.status:
        newest["StatusEquals"] = arguments.status
    listed = (list_kind(platform, newest) for list_kind in (_searches, _trainings, _transforms))
    rows = list(chain.from_iterable(listed))
    rows.sort(key=lambda row: row["created"], reverse=True)
    print_table(rows, empty="no jobs")
    return 0


def _searches(platform: Platform, newest: _Newest) -> Iterator[dict[str, str]]:
    list_jobs = platform.sagemaker.list_hyper_parameter_tuning_jobs
    for page in pages(lambda paging: list_jobs(**newest, **paging)):
        for job in page["HyperParameterTuningJobSummaries"]:
            name, status = job["HyperParameterTuningJobName"], job["HyperParameterTuningJobStatus"]
            yield _row(
                "tuning",
                name,
                status=status,
                times=job,
                ended=job.get("HyperParameterTuningEndTime"),
            )


def _trainings(platform: Platform, newest: _Newest) -> Iterator[dict[str, str]]:
    list_jobs = platform.sagemaker.list_training_jobs
    for page in pages(lambda paging: list_jobs(**newest, **paging)):
        for job in page["TrainingJobSummaries"]:
            name, status = job["TrainingJobName"], job["TrainingJobStatus"]
            yield _row("training", name, status=status, times=job, ended=job.get("TrainingEndTime"))


def _transforms(platform: Platform, newest: _Newest) -> Iterator[dict[str, str]]:
    """Yield the transform jobs; none for users without the permission to list them."""
    from platforms.client_errors import AccessDenied

    list_jobs = platform.sagemaker.list_transform_jobs
    with suppress(AccessDenied):
        for page in pages(lambda paging: list_jobs(**newest, **paging)):
            for job in page["TransformJobSummaries"]:
                name, status = job["TransformJobName"], job["TransformJobStatus"]
                yield _row(
                    "transform", name, status=status, times=job, ended=job.get("TransformEndTime")
                )


def _row(
    kind: str, name: str, *, status: str, times: _Times, ended: datetime | None
) -> dict[str, str]:
    created = times["CreationTime"]
    if ended is None and status in TERMINAL:  # it failed before it could start
        ended = times.get("LastModifiedTime")
    seconds = ((ended or datetime.now(UTC)) - created).total_seconds()
    return {
        "kind": kind,
        "name": name,
        "status": status,
        "created": f"{created:%Y-%m-%d %H:%M:%S}",
        "seconds": f"{seconds:.0f}",
    }
