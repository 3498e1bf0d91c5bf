"""The operations of ``boto3.client("sts")`` and ``boto3.client("iam")`` that the SDKs call."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from platforms.local.context import ACCOUNT
from platforms.local.honoured.members import accept
from platforms.validation import validate

STS_OPERATIONS = ("get_caller_identity",)
IAM_OPERATIONS = ("get_role", "simulate_principal_policy")

# The role that the local platform names when nobody names another.
_ROLE = "whippet-local"
_CREATED = datetime(2026, 1, 1, tzinfo=UTC)
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


@dataclass(frozen=True, slots=True)
class LocalSts:
    """Answers who calls: a session of the local role."""

    def get_caller_identity(self, /, **request: Any) -> dict[str, Any]:
        """Return the local account and the ARN of a session of its role."""
        validate("GetCallerIdentity", request, "sts")
        return {
            "UserId": "AROALOCALLOCALLOCAL00:whippet",
            "Account": ACCOUNT,
            "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{_ROLE}/whippet",
        }


@dataclass(frozen=True, slots=True)
class LocalIam:
    """Every role exists, trusts SageMaker, and may do everything."""

    def get_role(self, /, **request: Any) -> dict[str, Any]:
        """Return a role of any name."""
        validate("GetRole", request, "iam")
        name = request["RoleName"]
        return {
            "Role": {
                "Path": "/",
                "RoleName": name,
                "RoleId": "AROALOCALLOCALLOCAL00",
                "Arn": f"arn:aws:iam::{ACCOUNT}:role/{name}",
                "CreateDate": _CREATED,
                "AssumeRolePolicyDocument": quote(json.dumps(_TRUST)),
                "MaxSessionDuration": 3600,
            }
        }

    def simulate_principal_policy(self, /, **request: Any) -> dict[str, Any]:
        """Return that each action is allowed: no permission is checked here."""
        operation = "SimulatePrincipalPolicy"
        accept("iam", operation, request)
        results = [
            {"EvalActionName": action, "EvalResourceName": "*", "EvalDecision": "allowed"}
            for action in request["ActionNames"]
        ]
        return {"EvaluationResults": results, "IsTruncated": False}
