"""boto3 over HTTP, S3 at moto: the same contract that the local platform and AWS keep."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import obstore
import pytest

from platforms import connect
from platforms.local.context import local_context
from platforms.settings import Settings
from tests.platforms.contract import PlatformContract
from tests.worlds.local.jobs import Jobs
from tests.worlds.local.served import REGION, client, moto_server, served

pytestmark = pytest.mark.slow

BUCKET = "a-bucket"
ROLE = "arn:aws:iam::123456789012:role/whippet"


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    with moto_server() as url:
        client("s3", url).create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        yield url


@pytest.fixture
def jobs(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    """Jobs over the AWS platform, whose SageMaker is our API."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3)
    home = tmp_path / 'it\'s "home"; échec $HOME'
    local = Settings(home=home, job_python=Path(sys.executable), region=REGION, s3_endpoint=s3)
    with served(local_context(local)) as url:
        for service in ("SAGEMAKER", "SAGEMAKER_RUNTIME", "CLOUDWATCH", "CLOUDWATCH_LOGS"):
            monkeypatch.setenv(f"AWS_ENDPOINT_URL_{service}", url)
        aws = Settings(
            platform="aws",
            home=home,
            region=REGION,
            bucket=BUCKET,
            role_arn=ROLE,
            training_image="training:1",
            inference_image="inference:1",
        )
        yield Jobs(platform=connect(aws))


class TestServedPlatform(PlatformContract):
    @pytest.fixture
    def runs(self) -> bool:
        return True


def test_channels_are_downloaded_and_outputs_uploaded(jobs: Jobs) -> None:
    script = """
        import os, pathlib
        channel = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"])
        print(sorted(str(p.relative_to(channel)) for p in channel.rglob("*") if p.is_file()))
        names = [name for name in os.environ if name.startswith("AWS_")]
        print("knows", sorted(names))
        kept = pathlib.Path("/opt/ml/checkpoints")
        kept = pathlib.Path(os.environ["SM_MODEL_DIR"]).parent / "checkpoints"
        print("found", [p.name for p in kept.iterdir()])
        (kept / "1.pt").write_text("one")
        pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "metrics.txt").write_text("m")
    """
    checkpoints = {"S3Uri": f"s3://{BUCKET}/checkpoints/x"}
    job = jobs.run("in-and-out", script, CheckpointConfig=checkpoints)
    log = jobs.log("in-and-out")
    assert job["TrainingJobStatus"] == "Completed", job
    assert "['a cat/1.jpg']" in log
    assert "knows ['AWS_REGION']" in log, "a job must not see credentials"
    assert "found []" in log
    store = jobs.platform.store(BUCKET)
    assert bytes(obstore.get(store, "checkpoints/x/1.pt").bytes()) == b"one"
    assert obstore.head(store, "jobs/in-and-out/output/output.tar.gz")["size"] > 0
    record = (jobs.folder("in-and-out") / "record.json").read_text("utf-8")
    assert "testing" not in record
    jobs.run("again", script, CheckpointConfig=checkpoints)
    assert "found ['1.pt']" in jobs.log("again")


def test_data_that_is_not_there_is_said_before_the_job(jobs: Jobs) -> None:
    request = jobs.request("no-data", "")
    source = request["InputDataConfig"][0]["DataSource"]["S3DataSource"]
    source["S3Uri"] = f"s3://{BUCKET}/nothing/here"
    with pytest.raises(jobs.platform.sagemaker.exceptions.ClientError, match="No S3 objects found"):
        jobs.platform.sagemaker.create_training_job(**request)
    source["S3Uri"] = "s3://no-such-bucket/here"
    with pytest.raises(jobs.platform.sagemaker.exceptions.ClientError, match="no-such-bucket"):
        jobs.platform.sagemaker.create_training_job(**request)


def test_a_log_is_followed_as_the_sdk_does(jobs: Jobs) -> None:
    jobs.run("talks", "print('one'); print('two é'); print('three')")
    logs = jobs.platform.logs
    group = "/aws/sagemaker/TrainingJobs"
    (stream,) = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix="talks/")[
        "logStreams"
    ]
    asked = {"logGroupName": group, "logStreamName": stream["logStreamName"]}
    # The platform's own warning is the first line of the log.
    first = logs.get_log_events(**asked, startFromHead=True, limit=3)
    assert [event["message"] for event in first["events"]][1:] == ["one", "two é"]
    second = logs.get_log_events(**asked, nextToken=first["nextForwardToken"])
    assert [event["message"] for event in second["events"]] == ["three"]
    end = logs.get_log_events(**asked, nextToken=second["nextForwardToken"])
    assert (end["events"], end["nextForwardToken"]) == ([], second["nextForwardToken"])
    newest = logs.get_log_events(**asked, limit=1)
    assert [event["message"] for event in newest["events"]] == ["three"]
    before = logs.get_log_events(**asked, nextToken=newest["nextBackwardToken"])
    assert [event["message"] for event in before["events"]][1:] == ["one", "two é"]
