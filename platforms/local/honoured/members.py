"""For each operation, the members that have an effect here; all others are named in a warning.

A member that a newer botocore adds is in no list, so it is named until somebody implements it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from platforms.local.honoured.naming import warn_of
from platforms.validation import validate

# Operations that check and name the members of their requests themselves, nested ones, too.
NAMED_BY_THEMSELVES = frozenset(
    {
        "CreateEndpoint",
        "CreateEndpointConfig",
        "CreateHyperParameterTuningJob",
        "CreateModel",
        "CreateTrainingJob",
        "CreateTransformJob",
        "UpdateEndpoint",
    }
)

_PAGE = ("MaxResults", "NextToken", "SortBy", "SortOrder")
_CREATED = (*_PAGE, "NameContains", "CreationTimeAfter", "CreationTimeBefore")
_CHANGED = (*_CREATED, "LastModifiedTimeAfter", "LastModifiedTimeBefore", "StatusEquals")
_LOG_GROUP = ("logGroupName", "logGroupIdentifier")
_SPAN = ("startTime", "endTime", "nextToken", "limit")

_SAGEMAKER = {
    "AddTags": ("ResourceArn", "Tags"),
    "DeleteEndpoint": ("EndpointName",),
    "DeleteEndpointConfig": ("EndpointConfigName",),
    "DeleteModel": ("ModelName",),
    "DeleteTags": ("ResourceArn", "TagKeys"),
    "DescribeEndpoint": ("EndpointName",),
    "DescribeEndpointConfig": ("EndpointConfigName",),
    "DescribeHyperParameterTuningJob": ("HyperParameterTuningJobName",),
    "DescribeModel": ("ModelName",),
    "DescribeTrainingJob": ("TrainingJobName",),
    "DescribeTransformJob": ("TransformJobName",),
    "ListEndpointConfigs": _CREATED,
    "ListEndpoints": _CHANGED,
    "ListHyperParameterTuningJobs": _CHANGED,
    "ListModels": _CREATED,
    "ListTags": ("ResourceArn", "MaxResults", "NextToken"),
    "ListTrainingJobs": (*_CHANGED, "TrainingPlanArnEquals", "WarmPoolStatusEquals"),
    "ListTrainingJobsForHyperParameterTuningJob": (
        *_PAGE,
        "HyperParameterTuningJobName",
        "StatusEquals",
    ),
    "ListTransformJobs": _CHANGED,
    "Search": (*_PAGE, "Resource", "SearchExpression"),
    "StopHyperParameterTuningJob": ("HyperParameterTuningJobName",),
    "StopTrainingJob": ("TrainingJobName",),
    "StopTransformJob": ("TransformJobName",),
}
_LOGS = {
    "DescribeLogGroups": (
        "limit",
        "logGroupClass",
        "logGroupIdentifiers",
        "logGroupNamePattern",
        "logGroupNamePrefix",
        "nextToken",
    ),
    "DescribeLogStreams": (
        *_LOG_GROUP,
        "descending",
        "limit",
        "logStreamNamePrefix",
        "nextToken",
        "orderBy",
    ),
    "FilterLogEvents": (
        *_LOG_GROUP,
        *_SPAN,
        "filterPattern",
        "interleaved",
        "logStreamNamePrefix",
        "logStreamNames",
    ),
    "GetLogEvents": (*_LOG_GROUP, *_SPAN, "logStreamName", "startFromHead"),
}
_CLOUDWATCH = {
    "GetMetricData": (
        "EndTime",
        "MaxDatapoints",
        "MetricDataQueries",
        "NextToken",
        "ScanBy",
        "StartTime",
    ),
    "GetMetricStatistics": (
        "Dimensions",
        "EndTime",
        "ExtendedStatistics",
        "MetricName",
        "Namespace",
        "Period",
        "StartTime",
        "Statistics",
        "Unit",
    ),
    "ListMetrics": ("Dimensions", "MetricName", "Namespace", "NextToken", "OwningAccount"),
}
HONOURED: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "sagemaker": _SAGEMAKER,
    "logs": _LOGS,
    "cloudwatch": _CLOUDWATCH,
    "iam": {"GetRole": ("RoleName",), "SimulatePrincipalPolicy": ("ActionNames",)},
    "sts": {"GetCallerIdentity": ()},
}


def accept(service: str, operation: str, request: Mapping[str, Any]) -> None:
    """Check a request as :func:`platforms.validation.validate` does, and name what is not honoured.

    Raises:
        ParamValidationError, ClientError: what is wrong with it.
    """
    validate(operation, request, service)
    name_unhonoured(service, operation, request)


def name_unhonoured(service: str, operation: str, request: Mapping[str, Any]) -> None:
    """Name in a warning what a request has and its operation does not honour."""
    if operation in NAMED_BY_THEMSELVES:
        return
    honoured = HONOURED[service].get(operation, ())
    warn_of(operation, request, [member for member in request if member not in honoured])
