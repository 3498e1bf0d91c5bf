"""STS and IAM over HTTP, as the SDKs ask them."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from platforms.local.context import local_context
from platforms.settings import Settings
from tests.worlds.local.served import client, served


def test_who_calls_and_what_roles_may_do(tmp_path: Path) -> None:
    with served(local_context(Settings(home=tmp_path))) as url:
        caller = client("sts", url).get_caller_identity()
        assert caller["Account"] == "000000000000"
        assert caller["Arn"].startswith("arn:aws:sts::000000000000:assumed-role/whippet-local/")
        iam = client("iam", url)
        role = iam.get_role(RoleName="SageMakerExecutionRole")["Role"]
        assert role["Arn"] == "arn:aws:iam::000000000000:role/SageMakerExecutionRole"
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
        pages = iam.get_paginator("simulate_principal_policy").paginate(
            PolicySourceArn=role["Arn"],
            ActionNames=["sagemaker:CreateTrainingJob", "s3:GetObject"],
        )
        decisions = [each for page in pages for each in page["EvaluationResults"]]
        assert [each["EvalDecision"] for each in decisions] == ["allowed", "allowed"]
        with pytest.raises(ClientError, match="no operation 'ListRoles' of iam"):
            iam.list_roles()
        with pytest.raises(ClientError, match="failed to satisfy"):
            iam.get_role(RoleName="a/b")
