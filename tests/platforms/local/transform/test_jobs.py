"""Transform jobs: objects in, `.out` objects out, bad ones apart, resumed and stopped."""

from __future__ import annotations

import gzip
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from platforms.local.client import LocalSageMaker
from platforms.local.context import LocalContext
from platforms.local.job_logs.operations import LocalLogs
from tests.worlds.local.serving import BUCKET, ROLE, put_archive
from tests.worlds.waiting import wait_for

pytestmark = pytest.mark.slow


def put(context: LocalContext, key: str, body: bytes) -> None:
    with context.buckets.writing(f"s3://{BUCKET}/{key}", context.home) as path:
        path.write_bytes(body)


def outputs(context: LocalContext) -> dict[str, bytes]:
    folder = context.home / "s3" / BUCKET / "out"
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def start(context: LocalContext, name: str, behaviour: str = "", **request: Any) -> LocalSageMaker:
    """Create a model that behaves so, and a job over `in/`."""
    sagemaker = LocalSageMaker(context)
    uri = put_archive(context, f"models/{name}.tar.gz", {"behaviour.txt": behaviour.encode()})
    sagemaker.create_model(
        ModelName=name,
        PrimaryContainer={"Image": "pytorch-inference:2.14", "ModelDataUrl": uri},
        ExecutionRoleArn=ROLE,
    )
    sagemaker.create_transform_job(**{**body_of(name), **request})
    return sagemaker


def body_of(name: str, **source: Any) -> dict[str, Any]:
    return {
        "TransformJobName": name,
        "ModelName": name,
        "TransformInput": {
            "DataSource": {
                "S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in/"}
            },
            "ContentType": "image/jpeg",
            **source,
        },
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/out", "Accept": "application/json"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }


def ended(sagemaker: LocalSageMaker, name: str) -> dict[str, Any]:
    def final() -> dict[str, Any] | None:
        described = sagemaker.describe_transform_job(TransformJobName=name)
        still = described["TransformJobStatus"] in {"InProgress", "Stopping"}
        return None if still else dict(described)

    found = wait_for(final, f"end of {name}")
    assert found is not None
    return found


def test_every_object_gets_an_output_beside_its_own_name(context: LocalContext) -> None:
    put(context, "in/cat/1.jpg", b"one")
    put(context, "in/dog/2.jpg", b"two")
    put(context, "input-of-another/3.jpg", b"three")
    sagemaker = start(context, "whole", "label of ", MaxConcurrentTransforms=2)
    described = ended(sagemaker, "whole")
    assert described["TransformJobStatus"] == "Completed", described
    assert described["TransformEndTime"] >= described["TransformStartTime"]
    assert outputs(context) == {
        "cat/1.jpg.out": b"label of one",
        "dog/2.jpg.out": b"label of two",
    }
    assert sagemaker.list_tags(ResourceArn=described["TransformJobArn"])["Tags"] == []
    (listed,) = sagemaker.list_transform_jobs(StatusEquals="Completed")["TransformJobSummaries"]
    assert listed["TransformJobName"] == "whole"


def test_a_prefix_is_one_of_keys_not_of_folders(context: LocalContext) -> None:
    put(context, "in/photos-a/1.jpg", b"one")
    put(context, "in/photos-b/2.jpg", b"two")
    put(context, "in/other/3.jpg", b"three")
    source = body_of("prefix")["TransformInput"]
    source["DataSource"]["S3DataSource"]["S3Uri"] = f"s3://{BUCKET}/in/photos"
    assert (
        ended(start(context, "prefix", TransformInput=source), "prefix")["TransformJobStatus"]
        == "Completed"
    )
    assert list(outputs(context)) == ["photos-a/1.jpg.out", "photos-b/2.jpg.out"]


def test_bad_objects_fail_the_job_and_cost_the_others_nothing(context: LocalContext) -> None:
    put(context, "in/1.jpg", b"good")
    put(context, "in/2.jpg", b"bad picture")
    put(context, "in/3.jpg", b"crash")
    put(context, "in/4.jpg", b"x" * (1024 * 1024 + 1))
    put(context, "in/5.jpg", b"good too")
    put(context, "in/6.jpg", b"busy at first")
    sagemaker = start(
        context,
        "some",
        "picky",
        MaxPayloadInMB=1,
        ModelClientConfig={"InvocationsMaxRetries": 0},
    )
    described = ended(sagemaker, "some")
    assert described["TransformJobStatus"] == "Failed"
    assert "3 of 6 objects failed" in described["FailureReason"]
    assert "'2.jpg': the model answered 400: that is no pict" in described["FailureReason"]
    assert list(outputs(context)) == ["1.jpg.out", "5.jpg.out", "6.jpg.out"]
    logs, group = LocalLogs(context=context), {"logGroupName": "/aws/sagemaker/TransformJobs"}
    (stream,) = logs.describe_log_streams(**group, logStreamNamePrefix="some/")["logStreams"]
    events = logs.get_log_events(**group, logStreamName=stream["logStreamName"])["events"]
    said = [event["message"] for event in events]
    assert any("in/4.jpg: the object is longer than MaxPayloadInMB=1" in line for line in said)
    (found,) = logs.describe_log_groups()["logGroups"]
    assert found["logGroupName"] == group["logGroupName"]


def test_lines_are_records(context: LocalContext) -> None:
    put(context, "in/rows.csv.gz", gzip.compress(b"1,2\r\n\n3,4\n5,6"))
    request = body_of("lines", SplitType="Line", CompressionType="Gzip")
    request["TransformOutput"]["AssembleWith"] = "Line"
    sagemaker = start(context, "lines", ">", **request, BatchStrategy="SingleRecord")
    assert ended(sagemaker, "lines")["TransformJobStatus"] == "Completed"
    assert outputs(context) == {"rows.csv.gz.out": b">1,2\n>3,4\n>5,6\n"}


def test_a_manifest_names_its_objects(context: LocalContext) -> None:
    put(context, "in/a/1.jpg", b"one")
    put(context, "in/a/2.jpg", b"two")
    put(context, "m", json.dumps([{"prefix": f"s3://{BUCKET}/in/"}, "a/2.jpg"]).encode())
    source = body_of("listed")["TransformInput"]
    source["DataSource"]["S3DataSource"] = {
        "S3DataType": "ManifestFile",
        "S3Uri": f"s3://{BUCKET}/m",
    }
    assert (
        ended(start(context, "listed", TransformInput=source), "listed")["TransformJobStatus"]
        == "Completed"
    )
    assert outputs(context) == {"a/2.jpg.out": b"two"}


def test_a_killed_job_is_taken_up_where_it_was(context: LocalContext, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    put(context, "in/1.jpg", str(gate).encode())
    put(context, "in/2.jpg", str(tmp_path / "second").encode())
    source = body_of("killed", ContentType="text/slow")["TransformInput"]
    gate.touch()
    sagemaker = start(context, "killed", TransformInput=source)
    wait_for((tmp_path / "second.begun").exists, "second call")
    written = context.home / "s3" / BUCKET / "out" / "1.jpg.out"
    before = written.stat().st_mtime_ns
    record = context.records.read("transform-jobs", "killed")
    os.killpg(record["Local"]["Supervisor"]["Pid"], signal.SIGKILL)
    (tmp_path / "second").touch()
    assert ended(sagemaker, "killed")["TransformJobStatus"] == "Completed"
    assert list(outputs(context)) == ["1.jpg.out", "2.jpg.out"]
    assert written.stat().st_mtime_ns == before


def test_a_stop_ends_the_call_under_way(context: LocalContext, tmp_path: Path) -> None:
    put(context, "in/1.jpg", str(tmp_path / "never").encode())
    source = body_of("stopped", ContentType="text/slow")["TransformInput"]
    sagemaker = start(context, "stopped", TransformInput=source)
    wait_for((tmp_path / "never.begun").exists, "call under way")
    sagemaker.stop_transform_job(TransformJobName="stopped")
    described = ended(sagemaker, "stopped")
    assert described["TransformJobStatus"] == "Stopped"
    assert outputs(context) == {}
    with pytest.raises(ClientError, match="is in status Stopped"):
        sagemaker.stop_transform_job(TransformJobName="stopped")


def test_a_model_that_does_not_load_is_told_by_its_traceback(context: LocalContext) -> None:
    put(context, "in/1.jpg", b"one")
    described = ended(start(context, "broken", "fail"), "broken")
    assert described["TransformJobStatus"] == "Failed"
    assert described["FailureReason"].startswith("AlgorithmError: the model server did not start")
    assert "no such layer: é" in described["FailureReason"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"ModelName": "nobody"}, "Could not find model"),
        ({"MaxConcurrentTransforms": 50}, "is 300; it must not exceed 100 MB"),
        ({"DataProcessing": {"JoinSource": "Input"}}, "join inputs and outputs by name"),
        ({"TransformInput": body_of("x", SplitType="TFRecord")["TransformInput"]}, "TFRecord"),
        (
            {"TransformOutput": {"S3OutputPath": "https://example.org/out"}},
            "is not of the form s3://bucket/key",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(
    context: LocalContext, change: dict[str, Any], said: str
) -> None:
    put(context, "in/1.jpg", b"one")
    uri = put_archive(context, "m.tar.gz", {"behaviour.txt": b""})
    sagemaker = LocalSageMaker(context)
    sagemaker.create_model(
        ModelName="x",
        PrimaryContainer={"Image": "i", "ModelDataUrl": uri},
        ExecutionRoleArn=ROLE,
    )
    with pytest.raises(ClientError, match=said):
        sagemaker.create_transform_job(**{**body_of("x"), **change})
    assert context.records.names("transform-jobs") == ()


def test_an_empty_prefix_is_refused(context: LocalContext) -> None:
    with pytest.raises(ClientError, match="No S3 objects found under S3 URL"):
        start(context, "empty")


def test_an_unknown_job_is_said_to_be_unknown(context: LocalContext) -> None:
    with pytest.raises(ClientError, match="Could not find requested job with name"):
        LocalSageMaker(context).describe_transform_job(TransformJobName="nobody")
