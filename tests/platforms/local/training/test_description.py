"""DescribeTrainingJob's answer, beside real ones of the service."""

from __future__ import annotations

from typing import Any

from platforms.local.training.description import described
from platforms.validation import service_model


def record(**members: Any) -> dict[str, Any]:
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/train"}}
    return {
        "TrainingJobName": "job",
        "AlgorithmSpecification": {
            "TrainingImage": "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.5",
            "TrainingInputMode": "File",
        },
        "InputDataConfig": [{"ChannelName": "train", "DataSource": source}],
        "OutputDataConfig": {"S3OutputPath": "s3://b/jobs"},
        "StoppingCondition": {},
        "CreationTime": "2026-11-26T09:00:00.000000+00:00",
        "Local": {"JobPython": "/x"},
        "Tags": [],
        **members,
    }


def test_what_the_service_fills_in() -> None:
    found = described(record())
    assert found["AlgorithmSpecification"]["EnableSageMakerMetricsTimeSeries"] is True
    (channel,) = found["InputDataConfig"]
    assert (channel["CompressionType"], channel["RecordWrapperType"]) == ("None", "None")
    assert channel["DataSource"]["S3DataSource"]["S3DataDistributionType"] == "FullyReplicated"
    assert found["OutputDataConfig"] == {
        "KmsKeyId": "",
        "CompressionType": "GZIP",
        "S3OutputPath": "s3://b/jobs",
    }
    assert found["StoppingCondition"] == {"MaxRuntimeInSeconds": 86_400}
    assert found["ProfilingStatus"] == "Disabled"
    assert not {"DebugHookConfig", "ProfilerConfig", "ModelArtifacts", "Local", "Tags"} & set(found)
    shape = service_model("sagemaker").operation_model("DescribeTrainingJob").output_shape
    assert set(found) <= set(shape.members)  # type: ignore[union-attr]


def test_what_was_asked_for_stays() -> None:
    given = record(
        AlgorithmSpecification={"TrainingImage": "mine:1", "TrainingInputMode": "FastFile"},
        OutputDataConfig={"S3OutputPath": "s3://b/o", "CompressionType": "NONE"},
        DebugHookConfig={"S3OutputPath": "s3://b/o"},
        ProfilerConfig={"S3OutputPath": "s3://b/o"},
    )
    found = described(given)
    assert found["AlgorithmSpecification"]["EnableSageMakerMetricsTimeSeries"] is False
    assert found["OutputDataConfig"]["CompressionType"] == "NONE"
    assert found["DebugHookConfig"]["CollectionConfigurations"] == []
    assert found["ProfilerConfig"]["ProfilingIntervalInMilliseconds"] == 500
    assert found["ProfilingStatus"] == "Enabled"
    assert described(record(ProfilerConfig={}))["ProfilingStatus"] == "Enabled"
    off = described(record(ProfilerConfig={"DisableProfiler": True}))
    assert (off["ProfilingStatus"], off["ProfilerConfig"]) == (
        "Disabled",
        {"DisableProfiler": True},
    )
