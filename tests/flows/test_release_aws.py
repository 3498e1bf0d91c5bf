"""The whole pipeline on the AWS side: boto3 over HTTP to `whippet api`, S3 at moto, no account.

Part of `make test-aws` only: it takes minutes.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.aws.roles import create_role
from tests.conftest import AWKWARD
from tests.shown import SHOWN
from tests.worlds.job_environment import job_python
from tests.worlds.local.served import client, moto_server
from tests.worlds.pipeline import CLASSES, TINY, Ended, Whippet, tiny_data
from tests.worlds.served_api import BUCKET, REGION, ROLE, api_process, environment

pytestmark = [pytest.mark.slow, pytest.mark.job, pytest.mark.timeout(1800)]


@dataclass(frozen=True, kw_only=True)
class AwsRun:
    """A run on the AWS platform that ended, and the API that it ran on."""

    whippet: Whippet
    ended: Ended
    record: dict[str, Any]
    api_home: Path
    s3: str


@pytest.fixture(scope="module")
def released_on_aws(server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsRun]:
    job_python()
    root = tmp_path_factory.mktemp("aws") / AWKWARD
    api_home = root / "the service"
    api_home.mkdir(parents=True)
    data = tiny_data(root / "my photos")
    with moto_server() as moto, api_process(api_home, moto, identity=False) as variables:
        client("s3", moto).create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        create_role(moto)
        extra = {
            **environment(api_home),
            **variables,
            "WHIPPET_PLATFORM": "aws",
            "WHIPPET_BUCKET": BUCKET,
            "WHIPPET_ROLE_ARN": ROLE,
            "WHIPPET_REGION": REGION,
            "WHIPPET_TRAINING_IMAGE": "pytorch-training:2",
            "WHIPPET_INFERENCE_IMAGE": "pytorch-inference:2",
        }
        del extra["WHIPPET_HOME"]
        whippet = Whippet(home=root / "whippet home", api_url=server_url, extra=extra, seconds=900)
        ended = whippet.run("run", "--name", "over http", "--data", str(data), *TINY)
        assert ended.code == 0, f"{ended.out}\n{ended.err}"
        yield AwsRun(
            whippet=whippet,
            ended=ended,
            record=whippet.record("latest"),
            api_home=api_home,
            s3=moto,
        )


def test_the_run_is_complete(
    released_on_aws: AwsRun, record_property: Callable[[str, object], None]
) -> None:
    said = released_on_aws.ended.out.strip()
    record_property(SHOWN, f"whippet run, over HTTP to whippet api, S3 at moto\n{said}")
    record = released_on_aws.record
    assert (record["status"], record["error"], record["platform"]) == ("completed", None, "aws")
    assert record["evaluation"]["samples"] == 6
    assert record["query"]["label"] in CLASSES
    assert record["endpoint"]["smoke_images"] == 6
    assert (
        released_on_aws.whippet.home / "runs" / "latest" / "report.html"
    ).stat().st_size > 10_000


def test_everything_went_over_the_wire(released_on_aws: AwsRun) -> None:
    assert not (released_on_aws.whippet.home / "s3").exists()
    assert not (released_on_aws.whippet.home / "training-jobs").exists()
    assert not (released_on_aws.api_home / "whippet" / "s3").exists()
    service = released_on_aws.api_home / "whippet" / "training-jobs"
    jobs = {path.name for path in service.iterdir()}
    record = released_on_aws.record
    assert jobs == {record["jobs"]["training"], record["best"]["training_job"]}
    listed = client("s3", released_on_aws.s3).list_objects_v2(Bucket=BUCKET)["Contents"]
    keys = [item["Key"] for item in listed]
    trained = record["jobs"]["training"]
    for end in ("output/model.tar.gz", "output/output.tar.gz"):
        assert f"whippet/jobs/{trained}/{end}" in keys
    assert any(key.startswith(f"whippet/jobs/{trained}/debug-output/") for key in keys)


def test_the_printed_command_is_the_clis(released_on_aws: AwsRun) -> None:
    command = released_on_aws.ended.out.rstrip().splitlines()[-1].strip()
    assert command.startswith("aws sagemaker-runtime invoke-endpoint --endpoint-name ")
    aws = Path(__file__).resolve().parents[2] / ".venv-sdk2" / "bin"
    if not (aws / "aws").exists():
        pytest.skip(".venv-sdk2 is missing: run `make test-aws`, which makes it")
    found = subprocess.run(
        ["sh", "-c", command],
        env={**released_on_aws.whippet.environment, "PATH": f"{aws}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    answer, _ = json.JSONDecoder().raw_decode(found.stdout)
    assert answer["predictions"] == released_on_aws.record["query"]["predictions"]
