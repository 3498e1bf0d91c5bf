"""``whippet jobs``: tuning, training and transform jobs."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, NotRequired, TypedDict

from cli.table import print_table
from platforms.job_status import TERMINAL

if TYPE_CHECKING:
    from platforms import Platform

HELP = "list tuning, training and transform jobs"


class _Newest(TypedDict):
    SortBy: Literal["CreationTime"]
    SortOrder: Literal["Descending"]
    StatusEquals: NotRequired[Literal["InProgress", "Completed", "Failed", "Stopping", "Stopped"]]


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
    rows = _searches(platform, newest) + _trainings(platform, newest)
    rows += _transforms(platform, newest)
    rows.sort(key=lambda row: row["created"], reverse=True)
    print_table(rows, empty="no jobs")
    return 0


def _searches(platform: Platform, newest: _Newest) -> list[dict[str, str]]:
    from tasks.requests.pages import pages

    list_jobs = platform.sagemaker.list_hyper_parameter_tuning_jobs
    return [
        _row(
            "tuning",
            job["HyperParameterTuningJobName"],
            status=job["HyperParameterTuningJobStatus"],
            created=job["CreationTime"],
            ended=job.get("HyperParameterTuningEndTime"),
            modified=job.get("LastModifiedTime"),
        )
        for page in pages(lambda paging: list_jobs(**newest, **paging))
        for job in page["HyperParameterTuningJobSummaries"]
    ]


def _trainings(platform: Platform, newest: _Newest) -> list[dict[str, str]]:
    from tasks.requests.pages import pages

    list_jobs = platform.sagemaker.list_training_jobs
    return [
        _row(
            "training",
            job["TrainingJobName"],
            status=job["TrainingJobStatus"],
            created=job["CreationTime"],
            ended=job.get("TrainingEndTime"),
            modified=job.get("LastModifiedTime"),
        )
        for page in pages(lambda paging: list_jobs(**newest, **paging))
        for job in page["TrainingJobSummaries"]
    ]


def _transforms(platform: Platform, newest: _Newest) -> list[dict[str, str]]:
    """Return the transform jobs; none for users without the permission to list them."""
    from platforms.client_errors import AccessDenied
    from tasks.requests.pages import pages

    list_jobs = platform.sagemaker.list_transform_jobs
    try:
        return [
            _row(
                "transform",
                job["TransformJobName"],
                status=job["TransformJobStatus"],
                created=job["CreationTime"],
                ended=job.get("TransformEndTime"),
                modified=job.get("LastModifiedTime"),
            )
            for page in pages(lambda paging: list_jobs(**newest, **paging))
            for job in page["TransformJobSummaries"]
        ]
    except AccessDenied:
        return []


def _row(
    kind: str,
    name: str,
    *,
    status: str,
    created: datetime,
    ended: datetime | None,
    modified: datetime | None,
) -> dict[str, str]:
    if ended is None and status in TERMINAL:  # it failed before it could start
        ended = modified
    seconds = ((ended or datetime.now(UTC)) - created).total_seconds()
    return {
        "kind": kind,
        "name": name,
        "status": status,
        "created": f"{created:%Y-%m-%d %H:%M:%S}",
        "seconds": f"{seconds:.0f}",
    }
