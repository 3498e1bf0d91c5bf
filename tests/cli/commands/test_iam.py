"""`whippet iam`."""

from __future__ import annotations

import json

import pytest

from cli.main import main

ACCOUNT = ("--account", "111122223333", "--region", "eu-west-1")


def test_every_action_is_printed_with_its_reason(capsys):
    assert main(["iam", *ACCOUNT]) == 0
    printed = capsys.readouterr().out
    [line] = [line for line in printed.splitlines() if line.startswith("iam:PassRole")]
    assert "jobs and models run as the execution role" in line
    assert "kms:" not in printed


def test_a_document_is_json_and_nothing_else(capsys):
    assert main(["iam", *ACCOUNT, "--json", "user", "--names", "My Démo", "--role", "jobs"]) == 0
    document = json.loads(capsys.readouterr().out)
    resources = {each for s in document["Statement"] for each in s["Resource"]}
    assert "arn:aws:sagemaker:eu-west-1:111122223333:model/my-demo*" in resources
    assert "arn:aws:iam::111122223333:role/jobs" in resources
    assert "arn:aws:s3:::sagemaker-eu-west-1-111122223333" in resources


@pytest.mark.parametrize("given", [(), ("--bucket", "mine")], ids=["its own", "the user's"])
def test_only_sagemakers_own_bucket_is_created(given, capsys):
    assert main(["iam", *ACCOUNT, "--json", "user", *given]) == 0
    assert ("s3:CreateBucket" in capsys.readouterr().out) == (given == ())


def test_account_and_role_follow_from_the_roles_arn(monkeypatch, capsys):
    monkeypatch.setenv("WHIPPET_ROLE_ARN", "arn:aws:iam::444455556666:role/service-role/mine")
    monkeypatch.setenv("WHIPPET_REGION", "us-east-1")
    assert main(["iam", "--json", "user"]) == 0
    assert "arn:aws:iam::444455556666:role/service-role/mine" in capsys.readouterr().out


def test_a_feature_adds_what_it_needs(capsys):
    assert main(["iam", *ACCOUNT, "--json", "role", "--feature", "vpc"]) == 0
    assert "ec2:CreateNetworkInterface" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["iam", "--region", "eu-west-1"], "no account: give --account with its 12 digits"),
        (["iam", "--account", "12", "--region", "eu-west-1"], "--account 12: give"),
        (["iam", "--account", "111122223333"], "no region"),
    ],
)
def test_what_is_missing_is_said(argv, said, monkeypatch, capsys):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    assert main(argv) == 1
    assert said in capsys.readouterr().err
