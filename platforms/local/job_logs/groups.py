"""The log groups of training and transform jobs; each exists once there is such a job."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from platforms.client_errors import client_error
from platforms.local.context import LocalContext
from platforms.local.job_logs.streams import GROUPS, LogGroup

ENDPOINT_LOG_GROUPS = "/aws/sagemaker/Endpoints/"


def require_group(context: LocalContext, operation: str, request: Mapping[str, Any]) -> LogGroup:
    """Return the log group that a request names, by name or by ARN.

    Raises:
        ClientError: ``ResourceNotFoundException``: it is another, or there is no job yet;
            ``InvalidParameterException``: it names none, or two.
    """
    groups = [request[key] for key in ("logGroupName", "logGroupIdentifier") if key in request]
    if len(groups) != 1:
        raise client_error(
            operation,
            "InvalidParameterException",
            "Exactly one of logGroupName and logGroupIdentifier must be given.",
        )
    group = groups[0]
    for each in GROUPS:
        names = {each.name, each.arn(context), f"{each.arn(context)}:*"}
        if group in names and context.records.names(each.kind):
            return each
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
    if group in {each.name for each in GROUPS}:
        return "the first such job creates it"
    return f"there are {' and '.join(repr(each.name) for each in GROUPS)}"


def describe_groups(context: LocalContext, request: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``DescribeLogGroups`` returns.

    Raises:
        ClientError: ``InvalidParameterException``, a prefix and a pattern.
    """
    if "logGroupNamePrefix" in request and "logGroupNamePattern" in request:
        raise client_error(
            "DescribeLogGroups",
            "InvalidParameterException",
            "logGroupNamePrefix and logGroupNamePattern cannot both be given.",
        )
    groups = [each for each in GROUPS if _asked_for(context, each, request)]
    return {
        "logGroups": [description for each in groups for description in _described(context, each)]
    }


def _described(context: LocalContext, group: LogGroup) -> list[dict[str, Any]]:
    records = context.records.list(group.kind)
    if not records:
        return []
    created = min(datetime.fromisoformat(each["CreationTime"]) for each in records)
    described = {
        "logGroupName": group.name,
        "creationTime": int(created.timestamp() * 1000),
        "metricFilterCount": 0,
        "arn": f"{group.arn(context)}:*",
        "logGroupArn": group.arn(context),
        "storedBytes": 0,
        "logGroupClass": "STANDARD",
    }
    return [described]


def _asked_for(context: LocalContext, group: LogGroup, request: Mapping[str, Any]) -> bool:
    if request.get("nextToken") is not None:  # There is one page.
        return False
    identifiers = request.get("logGroupIdentifiers")
    if identifiers is not None and not {group.name, group.arn(context)} & set(identifiers):
        return False
    return (
        group.name.startswith(request.get("logGroupNamePrefix", ""))
        and request.get("logGroupNamePattern", "").lower() in group.name.lower()
        and request.get("logGroupClass", "STANDARD") == "STANDARD"
    )
