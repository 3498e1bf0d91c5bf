"""Stop everything that the local platform runs, for ``make down``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from platforms.local.client import LocalSageMaker
from platforms.local.warm_start.client import end_all

_PAGE = 100


def shut_down(sagemaker: LocalSageMaker, home: Path) -> list[str]:
    """Stop all running jobs and delete all endpoints of ``home``; return their names.

    Tuning jobs go first, so that none starts another training job. Jobs get their two minutes
    to save what they have; this does not wait for them. Processes that wait for the next job to
    start from them end, too.
    """
    stopped = []
    jobs = (
        ("HyperParameterTuningJob", "hyper_parameter_tuning_job"),
        ("TrainingJob", "training_job"),
        ("TransformJob", "transform_job"),
    )
    for noun, method in jobs:
        stop = getattr(sagemaker, f"stop_{method}")
        for name in _running(getattr(sagemaker, f"list_{method}s"), noun):
            if _done(stop, **{f"{noun}Name": name}):
                stopped.append(name)
    for summary in _all(sagemaker.list_endpoints, "Endpoints"):
        if _done(sagemaker.delete_endpoint, EndpointName=summary["EndpointName"]):
            stopped.append(summary["EndpointName"])
    end_all(home)
    return stopped


def _running(operation: Callable[..., dict[str, Any]], noun: str) -> Iterator[str]:
    for summary in _all(operation, f"{noun}Summaries", StatusEquals="InProgress"):
        yield summary[f"{noun}Name"]


def _all(
    operation: Callable[..., dict[str, Any]], member: str, **request: Any
) -> list[dict[str, Any]]:
    """Return the items of all pages, read before any of them is changed."""
    items: list[dict[str, Any]] = []
    page = operation(MaxResults=_PAGE, **request)
    items += page[member]
    while "NextToken" in page:
        page = operation(MaxResults=_PAGE, NextToken=page["NextToken"], **request)
        items += page[member]
    return items


def _done(operation: Callable[..., dict[str, Any]], **request: Any) -> bool:
    """Do it; False when the resource ended or went away by itself a moment ago."""
    try:
        operation(**request)
    except ClientError:
        return False
    return True
