"""Serverless and asynchronous endpoints whose model, inputs and answers lie in a server of S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from platforms.local.context import S3_VARIABLES, LocalContext
from platforms.local.hosting.endpoints import Endpoints
from platforms.local.hosting.runtime import LocalRuntime
from platforms.processes.process import ProcessId, alive
from tests.worlds.local.served import REGION, client, moto_server, served
from tests.worlds.local.serving import BUCKET, make_config, serving_context, wait_for_endpoint
from tests.worlds.waiting import wait_for

pytestmark = pytest.mark.slow
EVERY_BYTE = bytes(range(256))


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a server with one empty bucket, whose credentials boto3 finds."""
    for name in S3_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with moto_server() as url:
        where = {"LocationConstraint": REGION}
        client("s3", url).create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)
        yield url


@pytest.fixture
def context(s3: str, tmp_path: Path) -> Iterator[LocalContext]:
    with serving_context(tmp_path, s3_endpoint=s3) as context:
        yield context
    assert not (context.home / "s3").exists()


def deploy(context: LocalContext, **config: Any) -> None:
    make_config(context, "e", "fine:", **config)
    Endpoints(context).create_endpoint(EndpointName="e", EndpointConfigName="e")
    described = wait_for_endpoint(context, "e")
    assert described["EndpointStatus"] == "InService", described


def written(s3: Any, uri: str) -> bytes:
    """Return an object once it is there; a process of its own writes it."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")

    def there() -> bool:
        return "Contents" in s3.list_objects_v2(Bucket=bucket, Prefix=key)

    wait_for(there, f"object {uri}")
    found: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return found


def kind_of(s3: Any, uri: str) -> str:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    found: str = s3.head_object(Bucket=bucket, Key=key)["ContentType"]
    return found


def test_asynchronous_answers_and_failures_become_objects(context: LocalContext, s3: str) -> None:
    folder = f"s3://{BUCKET}/async/e"
    output = {"S3OutputPath": f"{folder}/output/", "S3FailurePath": f"{folder}/failure"}
    deploy(context, asynchronous={"OutputConfig": output})
    objects = client("s3", s3)
    objects.put_object(Bucket=BUCKET, Key="in/é '1'.jpg", Body=EVERY_BYTE)
    with served(context) as url:
        ask = client("sagemaker-runtime", url).invoke_endpoint_async
        image = f"s3://{BUCKET}/in/é '1'.jpg"
        answered = ask(EndpointName="e", InputLocation=image, Accept="application/x-mine")
        refused = ask(EndpointName="e", InputLocation=image, ContentType="text/plain")
        lost = ask(EndpointName="e", InputLocation=f"s3://{BUCKET}/in/none")
        elsewhere = ask(EndpointName="e", InputLocation="s3://nobodys-bucket/x")
    assert written(objects, answered["OutputLocation"]) == b"fine:" + EVERY_BYTE
    assert kind_of(objects, answered["OutputLocation"]) == "application/x-mine"
    assert b"client error (415)" in written(objects, refused["FailureLocation"])
    assert kind_of(objects, refused["FailureLocation"]) == "text/plain; charset=utf-8"
    assert b"in/none" in written(objects, lost["FailureLocation"])
    assert b"nobodys-bucket" in written(objects, elsewhere["FailureLocation"])
    keys = [each["Key"] for each in objects.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert len([key for key in keys if key.startswith("async/e/output/")]) == 1


def test_an_answer_that_cannot_be_written_keeps_nobody_waiting(
    context: LocalContext, s3: str
) -> None:
    deploy(context, asynchronous={"OutputConfig": {"S3OutputPath": "s3://nobodys-bucket/out"}})
    client("s3", s3).put_object(Bucket=BUCKET, Key="in/1.jpg", Body=b"1")
    runtime = LocalRuntime(context)
    runtime.invoke_endpoint_async(EndpointName="e", InputLocation=f"s3://{BUCKET}/in/1.jpg")
    log = context.records.folder("endpoints", "e") / "async.log"
    wait_for(
        lambda: log.is_file() and "nobodys-bucket" in log.read_text("utf-8"), "line in the log"
    )


def test_a_serverless_endpoint_starts_again_without_its_bucket(
    context: LocalContext, s3: str
) -> None:
    deploy(context, ServerlessConfig={"MemorySizeInMB": 1024, "MaxConcurrency": 1})
    # As on AWS: the model was read when the endpoint was made.
    client("s3", s3).delete_object(Bucket=BUCKET, Key="models/e.tar.gz")
    runtime = LocalRuntime(context, idle_seconds=0.5)
    ask = runtime.invoke_endpoint
    assert ask(EndpointName="e", Body=EVERY_BYTE)["Body"].read() == b"fine:" + EVERY_BYTE
    process = context.records.read("endpoints", "e")["Local"]["Server"]["Process"]
    if process is not None:
        wait_for(lambda: not alive(ProcessId.from_record(process)), "end of the idle server")
    # Neither server was given what opens the bucket.
    seen = ask(EndpointName="e", Body=b"", ContentType="text/environment")["Body"].read()
    assert b"AWS_REGION" in seen
    assert b"AWS_SECRET_ACCESS_KEY" not in seen
    with pytest.raises(ClientError, match="less than or equal to 4194304"):
        ask(EndpointName="e", Body=bytes(4_194_305))
