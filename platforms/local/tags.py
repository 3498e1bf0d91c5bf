"""Tags of all local resources, addressed by ARN and kept in the resource's own record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from platforms.client_errors import client_error
from platforms.local.context import LocalContext
from platforms.local.records import Kind, Missing, Record

Tag = dict[str, str]

# SageMaker allows 50 tags a resource.
_MAX_TAGS = 50

# The resource part of an ARN: where its record is, and which member holds its ARN.
_RESOURCES: dict[str, tuple[Kind, str]] = {
    "training-job": ("training-jobs", "TrainingJobArn"),
    "hyper-parameter-tuning-job": ("tuning-jobs", "HyperParameterTuningJobArn"),
    "transform-job": ("transform-jobs", "TransformJobArn"),
    "model": ("models", "ModelArn"),
    "endpoint-config": ("endpoint-configs", "EndpointConfigArn"),
    "endpoint": ("endpoints", "EndpointArn"),
}


class Tags:
    """``add_tags``, ``list_tags`` and ``delete_tags``, with boto3's keyword arguments."""

    def __init__(self, context: LocalContext) -> None:
        self._context = context

    def add_tags(self, **request: Any) -> dict[str, Any]:
        """Add tags, or change the values of tags that are there; return all of them."""
        new = {tag["Key"]: tag["Value"] for tag in request["Tags"]}

        def add(tags: list[Tag]) -> list[Tag]:
            merged = {**{tag["Key"]: tag["Value"] for tag in tags}, **new}
            if len(merged) > _MAX_TAGS:
                raise client_error(
                    "AddTags",
                    "ResourceLimitExceeded",
                    f"{request['ResourceArn']} would have {len(merged)} tags; "
                    f"{_MAX_TAGS} are allowed: delete some first.",
                )
            return [{"Key": key, "Value": value} for key, value in merged.items()]

        return {"Tags": self._change("AddTags", request["ResourceArn"], add)}

    def list_tags(self, **request: Any) -> dict[str, Any]:
        """Return all tags of a resource: there are never more than the smallest page, of 50."""
        if "NextToken" in request:
            raise client_error(
                "ListTags",
                "ValidationException",
                f"Invalid NextToken {request['NextToken']!r}: there is one page.",
            )
        kind, name = self._find("ListTags", request["ResourceArn"])
        return {"Tags": self._context.records.read(kind, name).get("Tags", [])}

    def delete_tags(self, **request: Any) -> dict[str, Any]:
        """Remove tags by key; keys that are not there are passed over."""
        keys = set(request["TagKeys"])
        self._change(
            "DeleteTags",
            request["ResourceArn"],
            lambda tags: [tag for tag in tags if tag["Key"] not in keys],
        )
        return {}

    def _change(
        self, operation: str, arn: str, change: Callable[[list[Tag]], list[Tag]]
    ) -> list[Tag]:
        kind, name = self._find(operation, arn)

        def apply(record: Record) -> Record:
            return {**record, "Tags": change(record.get("Tags", []))}

        try:
            tags: list[Tag] = self._context.records.update(kind, name, apply)["Tags"]
        except Missing as error:
            raise _unknown(operation, arn) from error
        return tags

    def _find(self, operation: str, arn: str) -> tuple[Kind, str]:
        """Return where the record of an ARN is; ARNs hold names in lower case."""
        resource, _, lowered = arn.split(":", 5)[-1].partition("/")
        if resource not in _RESOURCES:
            raise _unknown(operation, arn)
        kind, member = _RESOURCES[resource]
        for name in self._context.records.names(kind):
            if name.lower() == lowered.lower():
                record = self._context.records.find(kind, name)
                if record is not None and record.get(member) == arn:
                    return kind, name
        raise _unknown(operation, arn)


def _unknown(operation: str, arn: str) -> Exception:
    return client_error(operation, "ValidationException", f'Could not find resource "{arn}".')
