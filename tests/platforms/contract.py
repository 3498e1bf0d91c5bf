"""What every platform must do, as tests: run by each platform's own test module.

A subclass gives the fixtures ``jobs`` (a :class:`tests.worlds.local.jobs.Jobs`) and ``runs``
(whether training jobs really run there). A known difference is a skip that says why.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import obstore
import pytest
from botocore.exceptions import ClientError, ParamValidationError

from tests.worlds.local.jobs import Jobs

_HAPPY = """
import os
print('[metrics] {"valid:loss": 0.5}')
print('[metrics] {"valid:loss": 0.25}')
with open(os.path.join(os.environ["SM_MODEL_DIR"], "model.txt"), "w") as file:
    file.write("weights")
"""


class PlatformContract:
    """Requests in, statuses, artifacts and errors out, as SageMaker has them."""

    def test_a_job_runs_to_completion(self, jobs: Jobs, runs: bool) -> None:
        if not runs:
            pytest.skip("moto calls every job Completed without running it")
        job = jobs.run("contract-happy", _HAPPY)
        assert job["TrainingJobStatus"] == job["SecondaryStatus"] == "Completed"
        assert [metric["Value"] for metric in job["FinalMetricDataList"]] == [0.25]
        moves = [each["Status"] for each in job["SecondaryStatusTransitions"]]
        assert moves == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
        assert job["CreationTime"] <= job["TrainingStartTime"] <= job["TrainingEndTime"]
        assert job["BillableTimeInSeconds"] >= 1
        uri = job["ModelArtifacts"]["S3ModelArtifacts"]
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        assert bytes(obstore.get(jobs.platform.store(bucket), key).bytes())[:2] == b"\x1f\x8b"

    def test_a_name_is_used_once(self, jobs: Jobs, runs: bool) -> None:
        if not runs:
            pytest.skip("moto lets a second job replace the first of the same name")
        jobs.run("contract-twice", "")
        with pytest.raises(ClientError, match="names must be unique") as raised:
            jobs.start("contract-twice", "")
        assert raised.value.response["Error"]["Code"] == "ResourceInUse"

    def test_a_job_stops(self, jobs: Jobs, runs: bool) -> None:
        if not runs:
            pytest.skip("moto has no StopTrainingJob")
        jobs.start("contract-stop", "import time; print('up'); time.sleep(60)")
        jobs.wait_for_line("contract-stop", "up")
        jobs.platform.sagemaker.stop_training_job(TrainingJobName="contract-stop")
        job = jobs.wait("contract-stop")
        assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
        with pytest.raises(ClientError, match="the training job is in status Stopped") as raised:
            jobs.platform.sagemaker.stop_training_job(TrainingJobName="contract-stop")
        assert raised.value.response["Error"]["Code"] == "ValidationException"

    def test_an_unknown_job_is_a_validation_error(self, jobs: Jobs) -> None:
        with pytest.raises(ClientError) as raised:
            jobs.describe("contract-nobody")
        assert raised.value.response["Error"]["Code"] == "ValidationException"
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400

    def test_patterns_maxima_and_enums_are_checked(self, jobs: Jobs) -> None:
        request = jobs.request("contract_bad" + "x" * 60, "")
        request["ResourceConfig"]["InstanceType"] = "ml.m5.huge"
        with pytest.raises(ClientError) as raised:
            jobs.platform.sagemaker.create_training_job(**request)
        error = raised.value.response["Error"]
        assert error["Code"] == "ValidationException"
        assert "3 validation errors detected" in error["Message"]
        assert "at 'trainingJobName'" in error["Message"]
        assert "ml.m5.xlarge" in error["Message"]

    def test_a_number_is_no_hyperparameter(self, jobs: Jobs) -> None:
        request = jobs.request("contract-float", "", HyperParameters={"lr": 0.1})
        with pytest.raises(ParamValidationError, match=r"HyperParameters\.lr.*0\.1"):
            jobs.platform.sagemaker.create_training_job(**request)

    def test_a_misspelt_member_is_named(self, jobs: Jobs) -> None:
        request = jobs.request("contract-typo", "", HyperParametres={})
        with pytest.raises(ParamValidationError, match="HyperParametres"):
            jobs.platform.sagemaker.create_training_job(**request)

    def test_an_unknown_operation_is_an_attribute_error(self, jobs: Jobs) -> None:
        with pytest.raises(AttributeError):
            jobs.platform.sagemaker.make_coffee()

    def test_the_store_keeps_bytes(self, jobs: Jobs) -> None:
        store = jobs.platform.store(jobs.platform.defaults.bucket)
        obstore.put(store, "contract/é '1'.bin", b"\x00\xff")
        assert bytes(obstore.get(store, "contract/é '1'.bin").bytes()) == b"\x00\xff"
        found = [each["path"] for page in obstore.list(store, "contract") for each in page]
        assert found == ["contract/é '1'.bin"]

    def test_metrics_of_what_nobody_asked_are_empty(self, jobs: Jobs) -> None:
        now = datetime.now(UTC)
        answer = jobs.platform.metrics.get_metric_statistics(
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=[
                {"Name": "EndpointName", "Value": "contract-nobody"},
                {"Name": "VariantName", "Value": "AllTraffic"},
            ],
            StartTime=now - timedelta(hours=23),
            EndTime=now,
            Period=60,
            Statistics=["Sum"],
        )
        assert answer["Datapoints"] == []
