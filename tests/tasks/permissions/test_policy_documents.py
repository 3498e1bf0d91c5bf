"""The policies that `whippet iam` prints: valid, scoped, small enough, and nothing twice."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import get_args

import pytest
from botocore.loaders import Loader

from tasks.permissions.policy_documents import Scope, chosen, policy_document, trust_document
from tasks.permissions.table import ROLE, USER, Feature

FEATURES = get_args(Feature)

SCOPE = Scope(
    account="111122223333",
    region="eu-west-1",
    bucket="a-bucket",
    prefix="whippet",
    role="service-role/jobs",
    names="demo",
)
# AWS's Service Authorization Reference names no resource for these.
WITHOUT_RESOURCES = {
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricStatistics",
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "pricing:GetProducts",
    "sagemaker:ListEndpointConfigs",
    "sagemaker:ListTransformJobs",
    "sagemaker:ListEndpoints",
    "sagemaker:ListHyperParameterTuningJobs",
    "sagemaker:ListModels",
    "sagemaker:ListTrainingJobs",
    "servicequotas:ListServiceQuotas",
}
# Names of services whose IAM prefix is not botocore's.
BOTOCORE = {"servicequotas": "service-quotas"}
# Actions of IAM that are no operation of the API, as the reference says.
NO_OPERATIONS = {
    "iam:PassRole",
    "s3:ListBucket",
    "s3:PutBucketPublicAccessBlock",
    "ec2:CreateNetworkInterfacePermission",
    "ec2:DeleteNetworkInterfacePermission",
}


@cache
def operations_of(service: str) -> frozenset[str]:
    return frozenset(Loader().load_service_model(service, "service-2")["operations"])


@pytest.mark.parametrize("permission", [*USER, *ROLE], ids=lambda each: each.action)
def test_every_action_exists_and_is_scoped_where_aws_allows_it(permission):
    service, operation = permission.action.split(":")
    if permission.action not in NO_OPERATIONS:
        # InvokeEndpoint is the runtime's.
        names = {service, "sagemaker-runtime"} if service == "sagemaker" else {service}
        assert any(operation in operations_of(BOTOCORE.get(each, each)) for each in names)
    if permission.resources == ("*",):
        # SageMaker's guide gives a job in a VPC its interfaces on everything.
        assert permission.action in WITHOUT_RESOURCES or service == "ec2"
    else:
        for pattern in permission.resources:
            assert re.fullmatch(r"arn:aws:[a-z0-9-]+:\S+", SCOPE.fill(pattern))
    assert permission.reason


@pytest.mark.parametrize("table", [USER, ROLE], ids=["user", "role"])
@pytest.mark.parametrize("features", [(), FEATURES], ids=["plain", "every feature"])
def test_a_policy_allows_each_permission_once_and_fits_in(table, features):
    permissions = chosen(table, features)
    document = policy_document(permissions, SCOPE)
    said = [
        (action, tuple(statement["Resource"]))
        for statement in document["Statement"]
        for action in statement["Action"]
    ]
    wanted = [
        (each.action, tuple(sorted(SCOPE.fill(pattern) for pattern in each.resources)))
        for each in permissions
    ]
    assert sorted(said) == sorted(wanted)
    assert not [action for action, _ in said if "*" in action]
    # IAM's limit for a managed policy, white space not counted.
    assert len(re.sub(r"\s", "", json.dumps(document))) <= 6144


def test_the_role_is_passed_to_sagemaker_alone():
    document = policy_document(chosen(USER, ()), SCOPE)
    [statement] = [s for s in document["Statement"] if "iam:PassRole" in s["Action"]]
    assert statement["Resource"] == ["arn:aws:iam::111122223333:role/service-role/jobs"]
    assert statement["Condition"] == {
        "StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}
    }


@pytest.mark.parametrize("features", [(), FEATURES], ids=["plain", "every feature"])
def test_what_a_run_goes_on_without_has_statements_of_its_own(features):
    statements = policy_document(chosen(USER, features), SCOPE)["Statement"]
    own = [statement for statement in statements if "Sid" in statement]
    optional = {each.action for each in chosen(USER, features) if each.optional}
    assert {action for statement in own for action in statement["Action"]} == optional
    names = [statement["Sid"] for statement in own]
    assert names == [f"Optional{number + 1}" for number in range(len(own))]
    assert {"iam:GetRole", "ecr:BatchGetImage", "servicequotas:ListServiceQuotas"} <= optional


def test_images_are_those_of_the_regions_account():
    resources = {
        region: Scope(account="1" * 12, region=region, bucket="b", prefix="p", role="r").fill(
            next(each for each in USER if each.action == "ecr:BatchGetImage").resources[0]
        )
        for region in ("eu-west-1", "ap-east-1", "cn-north-1")
    }
    assert resources == {
        "eu-west-1": "arn:aws:ecr:eu-west-1:763104351884:repository/pytorch*",
        "ap-east-1": "arn:aws:ecr:ap-east-1:871362719292:repository/pytorch*",
        "cn-north-1": "arn:aws-cn:ecr:cn-north-1:*:repository/pytorch*",
    }


def test_names_and_bucket_limit_what_is_reached():
    resources = {
        resource
        for statement in policy_document(chosen(USER, ()), SCOPE)["Statement"]
        for resource in statement["Resource"]
    }
    assert "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/demo*" in resources
    assert {each for each in resources if each.startswith("arn:aws:s3")} == {
        "arn:aws:s3:::a-bucket",
        "arn:aws:s3:::a-bucket/whippet/*",
        "arn:aws:s3:::a-bucket/whippet/datasets/*",
        "arn:aws:s3:::a-bucket/whippet/features/*",
    }


def test_only_sagemaker_of_this_account_may_take_on_the_role():
    [statement] = trust_document(SCOPE)["Statement"]
    assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {"aws:SourceAccount": "111122223333"}
    assert statement["Condition"]["ArnLike"] == {
        "aws:SourceArn": "arn:aws:sagemaker:eu-west-1:111122223333:*"
    }


@pytest.mark.parametrize(
    ("region", "partition"),
    [("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("us-east-1", "aws")],
)
def test_arns_are_of_the_regions_partition(region, partition):
    scope = Scope(account="1" * 12, region=region, bucket="b", prefix="p", role="r")
    assert scope.fill(USER[-1].resources[0]).startswith(f"arn:{partition}:")
