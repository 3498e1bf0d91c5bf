"""The log group of training jobs, which is there once there is a job."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from platforms.client_errors import client_error
from platforms.local.context import LocalContext
from platforms.local.job_logs.streams import LOG_GROUP, group_arn
from platforms.local.training_status import KIND

ENDPOINT_LOG_GROUPS = "/aws/sagemaker/Endpoints/"


def require_group(context: LocalContext, operation: str, request: Mapping[str, Any]) -> None:
    """Check that a request names the log group, by name or by ARN.

    Raises:
        ClientError: ``ResourceNotFoundException``: it is another, or there is no job yet;
            ``InvalidParameterException``: it names none, or two.
    """
    given = [request[key] for key in ("logGroupName", "logGroupIdentifier") if key in request]
    if len(given) != 1:
        raise client_error(
            operation,
            "InvalidParameterException",
            "Exactly one of logGroupName and logGroupIdentifier must be given.",
        )
    group = given[0]
    known = {LOG_GROUP, group_arn(context), f"{group_arn(context)}:*"}
    if group in known and context.records.names(KIND):
        return
    raise client_error(
        operation,
        "ResourceNotFoundException",
        f"The specified log group {group!r} does not exist; {_where(context, group)}.",
    )


def _where(context: LocalContext, group: str) -> str:
    endpoint = group.removeprefix(ENDPOINT_LOG_GROUPS)
    if endpoint != group and endpoint in context.records.names("endpoints"):
        # Errors of models name this group, as SageMaker's do.
        folder = context.records.folder("endpoints", endpoint)
        return f"the log of this endpoint is {folder}/deployments/*/server.log"
    if group == LOG_GROUP:
        return "the first training job makes it"
    return f"it is {LOG_GROUP!r}"


def describe_groups(context: LocalContext, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``DescribeLogGroups`` returns.

    Raises:
        ClientError: ``InvalidParameterException``, a prefix and a pattern.
    """
    if "logGroupNamePrefix" in request and "logGroupNamePattern" in request:
        raise client_error(
            "DescribeLogGroups",
            "InvalidParameterException",
            "logGroupNamePrefix and logGroupNamePattern cannot be given both.",
        )
    records = context.records.list(KIND)
    if not records or not _asked_for(context, request):
        return {"logGroups": []}
    created = min(datetime.fromisoformat(each["CreationTime"]) for each in records)
    group = {
        "logGroupName": LOG_GROUP,
        "creationTime": int(created.timestamp() * 1000),
        "metricFilterCount": 0,
        "arn": f"{group_arn(context)}:*",
        "logGroupArn": group_arn(context),
        "storedBytes": 0,
        "logGroupClass": "STANDARD",
    }
    return {"logGroups": [group]}


def _asked_for(context: LocalContext, request: Mapping[str, Any]) -> bool:
    if request.get("nextToken") is not None:  # There is one page.
        return False
    identifiers = request.get("logGroupIdentifiers")
    if identifiers is not None and not {LOG_GROUP, group_arn(context)} & set(identifiers):
        return False
    return (
        LOG_GROUP.startswith(request.get("logGroupNamePrefix", ""))
        and request.get("logGroupNamePattern", "").lower() in LOG_GROUP.lower()
        and request.get("logGroupClass", "STANDARD") == "STANDARD"
    )
