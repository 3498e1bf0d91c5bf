"""A training job of the user's own code, made through the API as any client does."""

from __future__ import annotations

import json

from platforms.archives import write_archive
from tests.sdk.conftest import USER_CODE, Api
from tests.worlds.local.served import client
from tests.worlds.served_api import BUCKET, ROLE


def upload_code(api: Api) -> str:
    """Upload the user's code; return its URI."""
    archive = api.home / "sourcedir.tar.gz"
    write_archive(USER_CODE, archive)
    client("s3", api.s3).upload_file(str(archive), BUCKET, "code/sourcedir.tar.gz")
    return f"s3://{BUCKET}/code/sourcedir.tar.gz"


def train(api: Api, name: str, submitted: str, data: str) -> None:
    """Create a training job of that code."""
    source = {"S3DataType": "S3Prefix", "S3Uri": data}
    client("sagemaker", api.url).create_training_job(
        TrainingJobName=name,
        RoleArn=ROLE,
        AlgorithmSpecification={"TrainingImage": "x", "TrainingInputMode": "File"},
        HyperParameters={
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": json.dumps(submitted),
            "sagemaker_container_log_level": "20",
            "sagemaker_job_name": json.dumps(name),
            "sagemaker_region": '"eu-west-1"',
        },
        InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
        ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 300},
    )
