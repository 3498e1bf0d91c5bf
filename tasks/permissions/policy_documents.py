"""IAM policy documents from the table of permissions. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, NotRequired, TypedDict, TypeVar

from platforms.image_accounts import ACCOUNTS
from tasks.permissions.table import Feature, Permission

S = TypeVar("S")


class Statement(TypedDict):
    """What a policy allows, on which resources, and when."""

    Sid: NotRequired[str]
    Effect: str
    Action: list[str]
    Resource: list[str]
    Condition: NotRequired[dict[str, dict[str, str | list[str]]]]


class TrustStatement(TypedDict):
    """Who may assume a role, and when."""

    Effect: str
    Principal: dict[str, str]
    Action: str
    Condition: dict[str, dict[str, str]]


class Document(TypedDict, Generic[S]):
    """A policy document of IAM."""

    Version: str
    Statement: list[S]


_VERSION = "2012-10-17"
_SERVICE = "sagemaker.amazonaws.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Whose account a policy is for, and how far it reaches.

    Attributes:
        names: how the names of jobs, models and endpoints begin; all names by default.
        key: the KMS key's id, for the feature ``kms``.
    """

    account: str
    region: str
    bucket: str
    prefix: str
    role: str
    names: str = ""
    key: str = "*"

    @property
    def partition(self) -> str:
        """AWS's partition that the region is of."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    def fill(self, pattern: str) -> str:
        """Return the ARN pattern of this scope."""
        return pattern.format(
            partition=self.partition,
            region=self.region,
            account=self.account,
            bucket=self.bucket,
            prefix=self.prefix,
            role=self.role,
            names=f"{self.names}*",
            key=self.key,
            # In China and GovCloud the table knows none.
            images=ACCOUNTS.get(self.region, "*"),
        )


def chosen(permissions: Iterable[Permission], features: Iterable[Feature]) -> list[Permission]:
    """Return the permissions that are needed with these features."""
    wanted = set(features)
    return [each for each in permissions if each.feature is None or each.feature in wanted]


def policy_document(permissions: Iterable[Permission], scope: Scope) -> Document[Statement]:
    """Return the policy that allows exactly these: a statement for each set of resources.

    Optional actions have their own statements, whose ``Sid`` says so; whole statements may be left
    out.
    """
    groups: dict[str, Statement] = {}
    for permission in permissions:
        resources = sorted(scope.fill(pattern) for pattern in permission.resources)
        condition = {key: dict(value) for key, value in permission.condition.items()}
        optional = sum("Sid" in group for group in groups.values())
        group = groups.setdefault(
            json.dumps([resources, condition, permission.optional], sort_keys=True),
            _statement(resources, condition, f"Optional{optional + 1}" * permission.optional),
        )
        if permission.action not in group["Action"]:
            group["Action"].append(permission.action)
    return {"Version": _VERSION, "Statement": list(groups.values())}


def _statement(
    resources: list[str], condition: dict[str, dict[str, str | list[str]]], sid: str
) -> Statement:
    statement: Statement = {"Effect": "Allow", "Action": [], "Resource": resources}
    if condition:
        statement["Condition"] = condition
    return {"Sid": sid, **statement} if sid else statement


def trust_document(scope: Scope) -> Document[TrustStatement]:
    """Return who may assume the execution role: SageMaker, for this account only."""
    jobs = f"arn:{scope.partition}:sagemaker:{scope.region}:{scope.account}:*"
    return {
        "Version": _VERSION,
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": _SERVICE},
                "Action": "sts:AssumeRole",
                # Else SageMaker could be made to use it on behalf of another account.
                "Condition": {
                    "StringEquals": {"aws:SourceAccount": scope.account},
                    "ArnLike": {"aws:SourceArn": jobs},
                },
            }
        ],
    }
