"""``whippet jobs``: tuning, training and transform jobs."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cli.table import print_table
from platforms.job_status import TERMINAL

if TYPE_CHECKING:
    from platforms import Platform

HELP = "list tuning, training and transform jobs"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    statuses = ("InProgress", "Completed", "Failed", "Stopping", "Stopped")
    parser.add_argument("--status", choices=statuses, help="only jobs of this status")


def command(arguments: argparse.Namespace) -> int:
    """Print tuning, training and transform jobs, newest first."""
    from platforms import connect
    from tasks.requests.pages import list_all

    platform = connect()
    chosen = {"StatusEquals": arguments.status} if arguments.status else {}
    newest = {"SortBy": "CreationTime", "SortOrder": "Descending", **chosen}
    sagemaker = platform.sagemaker
    tuning = list_all(
        sagemaker.list_hyper_parameter_tuning_jobs, "HyperParameterTuningJobSummaries", **newest
    )
    training = list_all(sagemaker.list_training_jobs, "TrainingJobSummaries", **newest)
    rows = [_job_row("tuning", "HyperParameterTuningJob", job) for job in tuning]
    rows += [_job_row("training", "TrainingJob", job) for job in training]
    rows += [_job_row("transform", "TransformJob", job) for job in _transforms(platform, newest)]
    rows.sort(key=lambda row: row["created"], reverse=True)
    print_table(rows, empty="no jobs")
    return 0


def _transforms(platform: Platform, newest: dict[str, str]) -> list[dict[str, Any]]:
    """Return the transform jobs; none for users without the permission to list them."""
    from platforms.client_errors import AccessDenied
    from tasks.requests.pages import list_all

    try:
        return list_all(platform.sagemaker.list_transform_jobs, "TransformJobSummaries", **newest)
    except AccessDenied:
        return []


def _job_row(kind: str, noun: str, job: dict[str, Any]) -> dict[str, str]:
    ends = (job.get(f"{each}EndTime") for each in ("Training", "HyperParameterTuning", "Transform"))
    end = next(filter(None, ends), None)
    if end is None and job[f"{noun}Status"] in TERMINAL:  # it failed before it could start
        end = job.get("LastModifiedTime")
    seconds = ((end or datetime.now(UTC)) - job["CreationTime"]).total_seconds()
    return {
        "kind": kind,
        "name": job[f"{noun}Name"],
        "status": job[f"{noun}Status"],
        "created": f"{job['CreationTime']:%Y-%m-%d %H:%M:%S}",
        "seconds": f"{seconds:.0f}",
    }
