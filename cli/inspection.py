"""Show jobs, logs and endpoints; remove endpoints."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from cli.table import print_table
from platforms import Platform, connect
from platforms.client_errors import AccessDenied
from platforms.errors import EndpointFailed, JobFailed, ParameterError
from platforms.job_status import TERMINAL
from tasks.costs.still_billing import Billing, endpoint_billing
from tasks.costs.stop_billing import delete_with_config_and_models
from tasks.endpoints.inventory import OwnedResource, list_endpoints, meant_by
from tasks.endpoints.unused import list_unused
from tasks.parameters.run import CleanUpParameters
from tasks.requests.create_or_adopt import TRAINING_JOB, Resource
from tasks.requests.logs import TRAINING_LOGS, TRANSFORM_LOGS, log_events
from tasks.requests.pages import list_all
from tasks.transform.request import TRANSFORM_JOB

_FOLLOW_SECONDS = 1.0


def jobs(arguments: argparse.Namespace) -> int:
    """Print tuning, training and transform jobs, newest first."""
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
    """Return the transform jobs; none for who does without them and may not list them."""
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


def logs(arguments: argparse.Namespace) -> int:
    """Print the log of a training or transform job; with ``-f`` until the job ends."""
    platform = connect()
    job = _job_with_log(platform, arguments.name)
    for line in log_lines(platform, arguments.name, follow=arguments.follow, job=job):
        print(line, flush=arguments.follow)
    return 0


def _job_with_log(platform: Platform, name: str) -> Resource:
    for job in (TRAINING_JOB, TRANSFORM_JOB):
        try:
            if job.describe(platform.sagemaker, name) is not None:
                return job
        except AccessDenied:
            if job is TRAINING_JOB:
                raise
    raise JobFailed(f"there is no training or transform job {name!r}: see `whippet jobs`")


def log_lines(
    platform: Platform, name: str, *, follow: bool, job: Resource = TRAINING_JOB
) -> Iterator[str]:
    """Yield the lines of a job's log; while it runs too, when ``follow``."""
    group = TRANSFORM_LOGS if job is TRANSFORM_JOB else TRAINING_LOGS
    seen: set[str] = set()
    start = 0
    while True:
        ended = not follow or _has_ended(platform, name, job)
        for event in log_events(platform, name, start, group=group):
            if event["eventId"] not in seen:
                seen.add(event["eventId"])
                start = max(start, event["timestamp"])
                yield event["message"]
        if ended:
            return
        time.sleep(_FOLLOW_SECONDS)


def _has_ended(platform: Platform, name: str, job: Resource) -> bool:
    found = job.describe(platform.sagemaker, name) or {}
    return found.get(job.status_member or "") in TERMINAL


def endpoints(_: argparse.Namespace) -> int:
    """Print the endpoints that Whippet made, with what each costs an hour and until when."""
    platform = connect()
    rows = [_endpoint_row(s, endpoint_billing(platform, s)) for s in list_endpoints(platform)]
    print_table(rows, empty="no endpoints")
    return 0


def _endpoint_row(state: OwnedResource, billing: Billing | None = None) -> dict[str, str]:
    expires = f"{state.expires:%Y-%m-%d %H:%M}" if state.expires else "never"
    late = " (passed)" if state.expired(datetime.now(UTC)) else ""
    row = {
        "endpoint": state.name,
        "status": state.status,
        "run": state.run,
        "created": f"{state.created:%Y-%m-%d %H:%M}",
        "expires (UTC)": expires + late,
    }
    return row | {"USD per hour": billing.row["USD per hour"]} if billing else row


def clean_up(arguments: argparse.Namespace) -> int:
    """Remove endpoints with their configs and models, and what is left without one; asks first."""
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
    print_table([_endpoint_row(state) for state in chosen], empty=empty)
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
    """Ask; where it is about an account, yes is not enough: the name, or how many, is to be typed.

    Raises:
        ParameterError: nobody is there to ask.
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
