from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from botocore.exceptions import ClientError

from platforms.errors import SettingsError
from platforms.local.api.server import serve_api
from platforms.local.context import LocalContext
from platforms.settings import Settings
from tests.worlds.local.served import client, served
from tests.worlds.local.serving import make_config, wait_for_endpoint


@pytest.fixture
def url(context: LocalContext) -> Iterator[str]:
    with served(context) as url:
        yield url


def post(url: str, target: str, body: bytes | dict, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    with httpx.Client(trust_env=False) as http:
        return http.post(url, content=content, headers={"X-Amz-Target": target, **headers})


def test_pages_and_times(url: str, context: LocalContext) -> None:
    before = datetime.now(UTC)
    for name in ("a", "b", "c"):
        make_config(context, name, "x")
    sagemaker = client("sagemaker", url)
    first = sagemaker.list_models(MaxResults=2, SortBy="Name", SortOrder="Ascending")
    assert [model["ModelName"] for model in first["Models"]] == ["a", "b"]
    assert before <= first["Models"][0]["CreationTime"] <= datetime.now(UTC)
    pages = sagemaker.get_paginator("list_models").paginate(PaginationConfig={"PageSize": 1})
    assert [model["ModelName"] for page in pages for model in page["Models"]] == ["c", "b", "a"]
    assert sagemaker.list_models(CreationTimeBefore=before)["Models"] == []
    assert len(sagemaker.list_models(CreationTimeAfter=before)["Models"]) == 3


def test_the_protocol_by_hand(url: str, context: LocalContext) -> None:
    make_config(context, "pets", "x")
    answer = post(url, "SageMaker.DescribeModel", {"ModelName": "pets", "Unset": None})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
    assert answer.headers["x-amzn-requestid"]
    described = answer.json()
    assert isinstance(described["CreationTime"], float)
    assert described["PrimaryContainer"]["Environment"] == {"SAGEMAKER_PROGRAM": "inference.py"}
    assert "ResponseMetadata" not in described


@pytest.mark.parametrize(
    ("target", "body", "code", "words"),
    [
        ("SageMaker.MakeCoffee", {}, "UnknownOperationException", "no operation 'MakeCoffee'"),
        ("SageMaker.CreateCluster", {}, "UnknownOperationException", "CreateTrainingJob"),
        ("DynamoDB.ListTables", {}, "UnknownOperationException", "no service 'DynamoDB'"),
        ("", {}, "UnknownOperationException", "X-Amz-Target"),
        ("SageMaker.ListModels", b"{", "SerializationException", "not JSON"),
        ("SageMaker.ListModels", b"[1]", "SerializationException", "not a JSON object"),
        ("SageMaker.ListModels", b"[" * 100_000, "SerializationException", "not JSON"),
        ("SageMaker.ListModels", {"Typo": 1}, "ValidationException", "Typo"),
        ("SageMaker.ListModels", {"operation": 1, "self": 2}, "ValidationException", "self"),
        ("SageMaker.ListModels", {"CreationTimeAfter": 1e300}, "ValidationException", "1e+300"),
        ("SageMaker.ListModels", {"CreationTimeAfter": "now"}, "ValidationException", "since 1970"),
        ("SageMaker.DescribeModel", {}, "ValidationException", "ModelName"),
        ("SageMaker.DescribeModel", {"ModelName": "x"}, "ValidationException", "Could not find"),
        ("SageMaker.DescribeModel", {"ModelName": "a_b"}, "ValidationException", "'modelName'"),
        ("Logs_20140328.GetLogEvents", {"self": 1}, "ValidationException", "self"),
        ("Logs_20140328.CreateLogGroup", {}, "UnknownOperationException", "GetLogEvents"),
    ],
)
def test_errors_say_what_is_wrong(
    url: str, target: str, body: bytes | dict, code: str, words: str
) -> None:
    answer = post(url, target, body)
    assert (answer.status_code, answer.json()["__type"]) == (400, code), answer.text
    assert words in answer.json()["message"]
    assert answer.headers["x-amzn-errortype"] == code


def test_an_unknown_operation_is_not_tried_again(url: str) -> None:
    sagemaker = client("sagemaker", url, retries={"total_max_attempts": 5, "mode": "standard"})
    with pytest.raises(ClientError) as raised:
        sagemaker.list_clusters()
    assert raised.value.response["Error"]["Code"] == "UnknownOperationException"
    assert raised.value.response["ResponseMetadata"]["RetryAttempts"] == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example:80"},
        {"Host": ""},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
def test_web_pages_are_refused(url: str, headers: dict[str, str]) -> None:
    answer = post(url, "SageMaker.ListModels", {}, **headers)
    assert (answer.status_code, answer.json()["__type"]) == (403, "AccessDeniedException")


def test_localhost_is_this_machine_too(url: str) -> None:
    named = url.replace("127.0.0.1", "localhost")
    port = named.rpartition(":")[2]
    assert post(url, "SageMaker.ListModels", {}, Host=f"localhost:{port}").status_code == 200


def test_bodies_are_bounded(url: str) -> None:
    answer = post(url, "SageMaker.ListModels", b" " * 5_000_000)
    assert (answer.status_code, answer.json()["__type"]) == (413, "RequestEntityTooLargeException")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 405), ("POST", "/models", 404), ("PUT", "/ping", 405), ("GET", "/a%00b", 404)],
)
def test_other_paths(url: str, method: str, path: str, status: int) -> None:
    answer = httpx.request(method, url + path, trust_env=False)
    assert (answer.status_code, answer.json()["__type"]) == (status, "UnknownOperationException")
    assert "POST /endpoints/{name}/invocations" in answer.json()["message"]


def test_an_unknown_operation_names_the_nearest(url: str) -> None:
    answer = post(url, "SageMaker.DescribeTrainingJobs", {})
    assert "The nearest is DescribeTrainingJob." in answer.json()["message"]


@pytest.mark.slow
def test_an_endpoint_is_invoked(
    url: str, context: LocalContext, caplog: pytest.LogCaptureFixture
) -> None:
    sagemaker, runtime = client("sagemaker", url), client("sagemaker-runtime", url)
    sagemaker.create_endpoint(
        EndpointName="pets", EndpointConfigName=make_config(context, "m", "!")
    )
    try:
        with pytest.raises(ClientError, match="not found") as raised:
            runtime.invoke_endpoint(EndpointName="nobody", Body=b"x")
        assert raised.value.response["Error"]["Code"] == "ValidationError"
        wait_for_endpoint(context, "pets")
        picture = bytes(range(256)) * 40
        answer = runtime.invoke_endpoint(
            EndpointName="pets",
            Body=picture,
            ContentType="image/jpeg",
            Accept="a/b",
            CustomAttributes="trace=1",
            InferenceId="mine",
        )
        assert "does not honour InferenceId" in caplog.text
        assert answer["Body"].read() == b"!" + picture
        assert answer["ContentType"] == "a/b"
        assert answer["CustomAttributes"] == "seen"
        assert answer["InvokedProductionVariant"] == "AllTraffic"
        with pytest.raises(runtime.exceptions.ModelError, match="not an image") as refused:
            runtime.invoke_endpoint(EndpointName="pets", Body=b"x", ContentType="text/plain")
        assert refused.value.response["OriginalStatusCode"] == 415
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 424
        with pytest.raises(ClientError, match="less than or equal to 6291456"):
            runtime.invoke_endpoint(EndpointName="pets", Body=b"x" * 6_291_457)
    finally:
        sagemaker.delete_endpoint(EndpointName="pets")


def test_a_taken_port_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"{port}.*choose another --port"):
            serve_api(Settings(home=tmp_path), port, print)
    with pytest.raises(SettingsError, match="70000"):
        serve_api(Settings(home=tmp_path), 70_000, print)
