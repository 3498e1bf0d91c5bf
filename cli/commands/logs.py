"""``whippet logs``: the log of a job."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from platforms.errors import JobFailed

if TYPE_CHECKING:
    from platforms import Platform
    from tasks.requests.create_or_adopt import AnyResource

HELP = "print the log of a training or transform job"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("name", help="name of the training or transform job")
    parser.add_argument("-f", "--follow", action="store_true", help="until the job ends")


def command(arguments: argparse.Namespace) -> int:
    """Print the log of a training or transform job; with ``-f`` until the job ends."""
    from platforms import connect
    from tasks.requests.logs import log_lines

    platform = connect()
    name, job, group = _job_with_log(platform, arguments.name)
    if name != arguments.name:
        print(f"{arguments.name} is a trial of the packed search {name}:", file=sys.stderr)
    follow = arguments.follow
    for line in log_lines(platform, name, follow=follow, job=job, group=group):
        print(line, flush=follow)
    return 0


def _job_with_log(platform: Platform, name: str) -> tuple[str, AnyResource, str]:
    """Return the job that has the log, which for a trial of a packed search is the search."""
    from platforms.client_errors import AccessDenied
    from tasks.requests.create_or_adopt import TRAINING_JOB, TRANSFORM_JOB
    from tasks.requests.logs import TRAINING_LOGS, TRANSFORM_LOGS
    from tasks.requests.packed_search import search_of_trial

    for job, group in ((TRAINING_JOB, TRAINING_LOGS), (TRANSFORM_JOB, TRANSFORM_LOGS)):
        try:
            if job.describe(platform.sagemaker, name) is not None:
                return name, job, group
        except AccessDenied:
            if job is TRAINING_JOB:
                raise
    if (search := search_of_trial(platform, name)) is not None:
        return search, TRAINING_JOB, TRAINING_LOGS
    raise JobFailed(f"there is no training or transform job {name!r}: see `whippet jobs`")
