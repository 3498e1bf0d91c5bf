from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import obstore
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from platforms import connect
from platforms.errors import SettingsError
from platforms.settings import Settings
from tests.platforms.contract import PlatformContract
from tests.worlds.local.jobs import Jobs

pytestmark = pytest.mark.slow

ROLE = "arn:aws:iam::123456789012:role/whippet"
IMAGES = {"training_image": "training:1", "inference_image": "inference:1"}


@pytest.fixture
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take away whatever credentials the machine has."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def account(no_account: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@pytest.fixture
def moto_endpoint(account: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """AWS's services on a free port of this machine: obstore's own client can reach them, too."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    yield f"http://{host}:{port}"
    server.stop()


def aws_settings(**changes: Any) -> Settings:
    return Settings(
        **{"platform": "aws", "region": "eu-west-1", "role_arn": ROLE, **IMAGES, **changes}
    )


@pytest.mark.slow
class TestAwsPlatform(PlatformContract):
    """The contract against moto: what the client side does, and errors of the service."""

    @pytest.fixture
    def jobs(self, account: None, tmp_path: Path) -> Iterator[Jobs]:
        with mock_aws():
            yield Jobs(platform=connect(aws_settings(home=tmp_path)), uploads=False)

    @pytest.fixture
    def runs(self) -> bool:
        return False

    def test_the_store_keeps_bytes(self, jobs: Jobs) -> None:
        pytest.skip("moto patches boto3, and obstore has a client of its own: see below")

    def test_the_default_bucket_is_sagemakers(self, jobs: Jobs) -> None:
        assert jobs.platform.defaults.bucket == "sagemaker-eu-west-1-123456789012"


def test_the_store_reaches_s3(moto_endpoint: str) -> None:
    where: Any = {"LocationConstraint": "eu-west-1"}
    boto3.client("s3", region_name="eu-west-1").create_bucket(
        Bucket="a-bucket", CreateBucketConfiguration=where
    )
    store = connect(aws_settings(bucket="a-bucket")).store("a-bucket")
    obstore.put(store, "é '1'.bin", b"\x00\xff")
    assert bytes(obstore.get(store, "é '1'.bin").bytes()) == b"\x00\xff"


def test_no_credentials(no_account: None) -> None:
    with pytest.raises(SettingsError, match="no AWS credentials"):
        connect(aws_settings())


def test_no_region(account: None) -> None:
    with pytest.raises(SettingsError, match="WHIPPET_REGION"):
        connect(aws_settings(region=None))


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_of_awss_own_tools(
    account: None, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "ap-south-1")
    assert connect(aws_settings(region=None, bucket="b")).sagemaker.meta.region_name == "ap-south-1"
    assert connect(aws_settings(bucket="b")).sagemaker.meta.region_name == "eu-west-1"


def test_no_role(account: None) -> None:
    with pytest.raises(SettingsError, match="WHIPPET_ROLE_ARN"):
        connect(aws_settings(role_arn=None))


def test_images_are_awss_own_with_cuda_for_gpus(account: None) -> None:
    defaults = connect(
        aws_settings(training_image=None, inference_image=None, bucket="a-bucket")
    ).defaults
    assert "/pytorch-training:2.10.0-cpu" in defaults.training_image
    assert "/pytorch-training:2.10.0-gpu" in defaults.training_image_for("ml.g4dn.xlarge")
    assert "/pytorch-inference:2.6.0-cpu" in defaults.inference_image
    newer = aws_settings(training_image=None, bucket="a-bucket", pytorch_version="2.13")
    assert "/pytorch:2.13-cpu" in connect(newer).defaults.training_image


def test_no_image_is_known(account: None) -> None:
    with pytest.raises(SettingsError, match=r"PyTorch 1\.4 .*WHIPPET_TRAINING_IMAGE"):
        connect(aws_settings(training_image=None, bucket="a-bucket", pytorch_version="1.4"))


def test_requests_are_checked_before_they_are_sent(account: None) -> None:
    platform = connect(aws_settings(bucket="a-bucket"))
    # No server answers here: only the check can.
    with pytest.raises(ClientError, match="at 'trainingJobName' failed to satisfy constraint"):
        platform.sagemaker.describe_training_job(TrainingJobName="under_score")


def test_the_command_for_a_shell(account: None) -> None:
    platform = connect(aws_settings(bucket="a-bucket"))
    command = platform.invoke_command("pets", "my dog's.jpg")
    assert "--endpoint-name pets" in command
    assert """'fileb://my dog'"'"'s.jpg'""" in command
