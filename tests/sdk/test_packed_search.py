"""A packed search through `whippet api`, by boto3's create_training_job, as on an account."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest

from platforms.settings import PROJECT_ROOT
from sm_entrypoints import contract
from tasks.job_environment.source import package_source
from tests.sdk.conftest import Api, Inputs
from tests.worlds.local.served import client
from tests.worlds.served_api import BUCKET, ROLE
from tests.worlds.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.job]

PLAN = {
    "trials": 6,
    "ranges": {"lr": {"type": "continuous", "min": 0.001, "max": 0.1, "scaling": "Logarithmic"}},
    "max_epochs": 2,
}


def channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}}


def test_a_search_is_one_job_whose_output_is_the_trial_table(api: Api, inputs: Inputs) -> None:
    s3, sagemaker = client("s3", api.s3), client("sagemaker", api.url)
    code = package_source(PROJECT_ROOT).data
    s3.put_object(Bucket=BUCKET, Key="code/whippet.tar.gz", Body=code)
    sagemaker.create_training_job(
        TrainingJobName="packed",
        RoleArn=ROLE,
        AlgorithmSpecification={
            "TrainingImage": "x",
            "TrainingInputMode": "File",
            "MetricDefinitions": contract.metric_definitions(contract.SEARCH_METRICS),
        },
        HyperParameters={
            "sagemaker_program": contract.SEARCH_PROGRAM,
            "sagemaker_submit_directory": f"s3://{BUCKET}/code/whippet.tar.gz",
            "model": "mobilenet_v3_small",
            "image_size": "32",
            "trainable": "head",
            "batch_size": "4",
            "search": json.dumps(PLAN),
        },
        InputDataConfig=[channel(split, inputs.data) for split in contract.SPLITS],
        OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
        ResourceConfig={"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 300},
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/features/colours/"},
    )

    def ended() -> dict[str, Any] | None:
        job: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName="packed")
        return job if job["TrainingJobStatus"] != "InProgress" else None

    job = wait_for(ended, "end of the search")
    assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
    final = {each["MetricName"]: each["Value"] for each in job["FinalMetricDataList"]}
    assert final["search:trials_done"] == final["search:trials"] == 6
    output = s3.get_object(Bucket=BUCKET, Key="out/packed/output/output.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(output)) as archive:
        table = archive.extractfile("trials.json")
        assert table is not None
        trials = json.load(table)
    assert [trial["TrainingJobStatus"] for trial in trials] == ["Completed"] * 6
    values = [trial["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for trial in trials]
    assert min(values) == pytest.approx(final["search:best_valid_loss"])
    kept = s3.list_objects_v2(Bucket=BUCKET, Prefix="features/colours/")["Contents"]
    assert any(each["Key"].endswith(".safetensors") for each in kept)
