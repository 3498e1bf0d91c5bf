from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from platforms.validation import java_pattern, service_model, validate

ROLE = "arn:aws:iam::123456789012:role/whippet"


def request(**changes: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": "job",
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": "s3://b/k"},
        **changes,
    }


def message_of(**changes: Any) -> str:
    with pytest.raises(ClientError) as raised:
        validate("CreateTrainingJob", request(**changes))
    assert raised.value.response["Error"]["Code"] == "ValidationException"
    return str(raised.value.response["Error"]["Message"])


def test_a_good_request_passes() -> None:
    validate(
        "CreateTrainingJob",
        request(
            HyperParameters={"lr": "0.1", "empty": ""},
            Tags=[{"Key": "équipe", "Value": "a b=c"}],
            ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1},
        ),
    )
    validate("ListTrainingJobs", {})


@pytest.mark.parametrize(
    ("changes", "where", "constraint"),
    [
        ({"TrainingJobName": "a_b"}, "'trainingJobName'", "regular expression pattern"),
        ({"TrainingJobName": "a-"}, "'trainingJobName'", "regular expression pattern"),
        ({"TrainingJobName": "a\n"}, "'trainingJobName'", "regular expression pattern"),
        ({"TrainingJobName": "٣"}, "'trainingJobName'", "regular expression pattern"),
        (
            {"CheckpointConfig": {"S3Uri": "s3://b", "LocalPath": "x" * 4097}},
            "'checkpointConfig.localPath'",
            "length less than or equal to 4096",
        ),
        (
            {"ResourceConfig": {"InstanceType": "ml.m5.xlage"}},
            "'resourceConfig.instanceType'",
            "enum value set: [ml.m5.xlarge",
        ),
        (
            {"ResourceConfig": {"KeepAlivePeriodInSeconds": 21601}},
            "'resourceConfig.keepAlivePeriodInSeconds'",
            "value less than or equal to 21600",
        ),
        (
            {"Tags": [{"Key": "a", "Value": "b"}, {"Key": "a", "Value": "b!"}]},
            "'tags.2.member.value'",
            "regular expression pattern",
        ),
        ({"Tags": [{"Key": "a", "Value": "b"}] * 51}, "'tags'", "length less than or equal to 50"),
        (
            {"HyperParameters": {"lr": "x" * 2501}},
            "'hyperParameters'",
            "Map value must satisfy constraint: [Member must have length",
        ),
        (
            {"HyperParameters": {"k" * 257: "1"}},
            "'hyperParameters'",
            "Map key must satisfy constraint: [Member must have length",
        ),
        (
            {"HyperParameters": {f"k{n}": "1" for n in range(101)}},
            "'hyperParameters'",
            "length less than or equal to 100",
        ),
    ],
)
def test_constraints_that_botocore_skips(
    changes: dict[str, Any], where: str, constraint: str
) -> None:
    message = message_of(**changes)
    assert message.startswith("1 validation error detected: Value '")
    assert f"at {where} failed to satisfy constraint: " in message
    assert constraint in message
    assert len(message) < 1000


def test_all_problems_at_once() -> None:
    message = message_of(TrainingJobName="a_b", OutputDataConfig={"S3OutputPath": "nowhere"})
    assert message.startswith("2 validation errors detected: ")
    assert "'trainingJobName'" in message
    assert "'outputDataConfig.s3OutputPath'" in message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"HyperParameters": {"lr": 0.1}}, "Invalid type for parameter HyperParameters.lr"),
        ({"HyperParametres": {}}, 'Unknown parameter in input: "HyperParametres"'),
        ({"OutputDataConfig": {}}, 'OutputDataConfig: "S3OutputPath"'),
        ({"TrainingJobName": ""}, "Invalid length for parameter TrainingJobName"),
    ],
)
def test_what_boto3_itself_refuses(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamValidationError, match=re.escape(message)):
        validate("CreateTrainingJob", request(**changes))


def test_other_services_and_files_as_bodies(tmp_path: Any) -> None:
    path = tmp_path / "image"
    path.write_bytes(b"1")
    with path.open("rb") as file:
        validate(
            "InvokeEndpoint", {"EndpointName": "pets", "Body": file}, service="sagemaker-runtime"
        )
    with pytest.raises(ClientError, match="'endpointName'"):
        validate(
            "InvokeEndpoint", {"EndpointName": "a" * 64, "Body": b""}, service="sagemaker-runtime"
        )


def _patterns(service: str) -> dict[str, str]:
    model = service_model(service)
    shapes = [model.shape_for(name) for name in model.shape_names]
    return {each.name: each.metadata["pattern"] for each in shapes if "pattern" in each.metadata}


def _python_compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True


# Written for Java in a way that Python's own ``re`` cannot read.
_JAVA_ONLY = {
    "AthenaCatalog",
    "Catalog",
    "CognitoUserGroup",
    "CustomAttributesHeader",
    "CustomerMetadataKey",
    "CustomerMetadataValue",
    "Database",
    "EntityDescription",
    "FeatureParameterKey",
    "FeatureParameterValue",
    "Group",
    "Header",
    "InferenceId",
    "ModelPackageSourceUri",
    "ParameterName",
    "PrefixAwareIdHeader",
    "TableName",
    "TagKey",
    "TagValue",
    "TargetModelHeader",
    "TrainingRepositoryCredentialsProviderArn",
    "VisibilityConditionsKey",
    "VisibilityConditionsValue",
}


def test_every_pattern_of_the_model_is_understood() -> None:
    patterns = _patterns("sagemaker") | _patterns("sagemaker-runtime")
    assert len(patterns) > 400
    for pattern in patterns.values():
        java_pattern(pattern)
    java_only = {name for name, pattern in patterns.items() if not _python_compiles(pattern)}
    assert java_only == _JAVA_ONLY


def test_java_only_patterns_mean_what_java_means() -> None:
    patterns = _patterns("sagemaker")
    table = java_pattern(patterns["TableName"])
    assert table.fullmatch("naïve 🐕 table\t")
    assert not table.fullmatch("bell\x07")
    assert java_pattern(patterns["CustomerMetadataKey"]).fullmatch("clé:1")
    assert not java_pattern(patterns["CustomerMetadataKey"]).fullmatch("clé!")
    assert java_pattern(patterns["TagKey"]).fullmatch("犬 é_1")
