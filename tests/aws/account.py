"""An AWS account at moto: a bucket, a user, an execution role, and IAM that is enforced."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import httpx

from tasks.permissions.policy_documents import (
    Document,
    Scope,
    Statement,
    chosen,
    policy_document,
    trust_document,
)
from tasks.permissions.table import ROLE, USER
from tests.aws.enforcement import ACCOUNT, REGION
from tests.worlds.local.served import client, moto_server

BUCKET = "the-users-bucket"
ROLE_NAME = "whippet-execution"
SCOPE = Scope(account=ACCOUNT, region=REGION, bucket=BUCKET, prefix="whippet", role=ROLE_NAME)
_USER_NAME = "whippet-user"
_POLICY = "whippet"


def user_policy(without: str | None = None) -> Document[Statement]:
    """Return the user's policy as `whippet iam` prints it, but for one action."""
    permissions = [each for each in chosen(USER, ()) if each.action != without]
    return policy_document(permissions, SCOPE)


def role_policy(without: str | None = None) -> Document[Statement]:
    """Return the execution role's policy, but for one action."""
    return policy_document([each for each in chosen(ROLE, ()) if each.action != without], SCOPE)


@dataclass(frozen=True, kw_only=True)
class Account:
    """The account. Credentials are variables of boto3."""

    url: str
    admin: dict[str, str]
    user: dict[str, str]
    role: dict[str, str]

    @property
    def role_arn(self) -> str:
        """ARN of the execution role."""
        return f"arn:aws:iam::{ACCOUNT}:role/{ROLE_NAME}"

    def client(self, service: str) -> Any:
        """Return the administrator's client."""
        return _as(service, self.url, self.admin)

    def allow_user(self, policy: Document) -> None:
        """Give the user this policy, and no other."""
        self.client("iam").put_user_policy(
            UserName=_USER_NAME, PolicyName=_POLICY, PolicyDocument=json.dumps(policy)
        )

    def allow_role(self, policy: Document) -> None:
        """Give the execution role this policy, and no other."""
        self.client("iam").put_role_policy(
            RoleName=ROLE_NAME, PolicyName=_POLICY, PolicyDocument=json.dumps(policy)
        )

    def put(self, key: str, content: bytes) -> None:
        """Write an object, as SageMaker does for a job."""
        self.client("s3").put_object(Bucket=BUCKET, Key=key, Body=content)

    def objects(self) -> list[str]:
        """Return all keys."""
        pages = self.client("s3").get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [item["Key"] for page in pages for item in page.get("Contents", [])]

    def empty_below(self, prefix: str) -> None:
        """Delete all objects below a prefix."""
        s3 = self.client("s3")
        for key in [each for each in self.objects() if each.startswith(prefix)]:
            s3.delete_object(Bucket=BUCKET, Key=key)


def _as(service: Any, url: str, credentials: dict[str, str]) -> Any:
    return boto3.client(
        service,
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id=credentials["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=credentials["AWS_SECRET_ACCESS_KEY"],
    )


@contextmanager
def account() -> Iterator[Account]:
    """Give the account; IAM is enforced for S3, STS and IAM until the block ends."""
    with moto_server() as url:
        iam = client("iam", url)
        where = {"LocationConstraint": REGION}
        client("s3", url).create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
        everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [everything]}
        made = {name: _user(iam, name) for name in ("admin", _USER_NAME)}
        iam.put_user_policy(
            UserName="admin", PolicyName=_POLICY, PolicyDocument=json.dumps(document)
        )
        trusted = json.dumps(trust_document(SCOPE))
        role = iam.create_role(RoleName=ROLE_NAME, AssumeRolePolicyDocument=trusted)["Role"]
        found = client("sts", url).assume_role(RoleArn=role["Arn"], RoleSessionName="SageMaker")
        session = found["Credentials"]
        assumed = {
            "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
            "AWS_SESSION_TOKEN": session["SessionToken"],
        }
        _enforce(url, "0")
        try:
            yield Account(url=url, admin=made["admin"], user=made[_USER_NAME], role=assumed)
        finally:
            _enforce(url, "inf")


def _user(iam: Any, name: str) -> dict[str, str]:
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }


def _enforce(url: str, after: str) -> None:
    # moto's own switch: how many calls it lets through before it asks IAM.
    httpx.post(f"{url}/moto-api/reset-auth", content=after, trust_env=False).raise_for_status()
