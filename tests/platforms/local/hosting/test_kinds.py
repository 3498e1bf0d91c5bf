"""Serverless and asynchronous endpoints, over real processes."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from botocore.exceptions import ClientError

from platforms.local.hosting.async_queue import AsyncQueue
from platforms.local.hosting.endpoints import Endpoints, local_url
from platforms.local.hosting.models import EndpointConfigs
from platforms.local.hosting.runtime import LocalRuntime
from platforms.processes.process import ProcessId, alive, group_alive
from tests.worlds.local.served import client, served
from tests.worlds.local.serving import BUCKET, make_config, wait_for_endpoint
from tests.worlds.waiting import wait_for

pytestmark = pytest.mark.slow

SERVERLESS = {"MemorySizeInMB": 2048, "MaxConcurrency": 1}
OUTPUT = {
    "S3OutputPath": f"s3://{BUCKET}/async/e/output/",
    "S3FailurePath": f"s3://{BUCKET}/async/e/failure",
}
ASYNC = {"OutputConfig": OUTPUT, "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 2}}


def deploy(context, behaviour="fine:", **config):
    make_config(context, "e", behaviour, **config)
    Endpoints(context).create_endpoint(EndpointName="e", EndpointConfigName="e")
    return wait_for_endpoint(context, "e")


def server(context):
    return context.records.read("endpoints", "e")["Local"]["Server"]


def code(error):
    return (
        error.value.response["Error"]["Code"],
        error.value.response["ResponseMetadata"]["HTTPStatusCode"],
    )


@pytest.mark.slow
def test_a_serverless_endpoint_runs_only_while_it_is_asked(context, tmp_path):
    described = deploy(context, ServerlessConfig=SERVERLESS)
    variant = described["ProductionVariants"][0]
    assert described["EndpointStatus"] == "InService"
    assert variant["CurrentServerlessConfig"] == variant["DesiredServerlessConfig"] == SERVERLESS
    assert variant["CurrentInstanceCount"] == 0
    assert server(context)["Process"] is server(context)["Port"] is None
    with pytest.raises(ClientError, match="is serverless: its server runs only during calls"):
        local_url(context, "e")

    runtime = LocalRuntime(context, idle_seconds=2.5)
    assert runtime.invoke_endpoint(EndpointName="e", Body=b"1")["Body"].read() == b"fine:1"
    first = ProcessId.from_record(server(context)["Process"])
    with pytest.raises(ClientError, match="less than or equal to 4194304"):
        runtime.invoke_endpoint(EndpointName="e", Body=bytes(4_194_305))

    answers = []

    gate = tmp_path / "gate"

    def slow():
        body = str(gate).encode()
        asked = runtime.invoke_endpoint(EndpointName="e", Body=body, ContentType="text/slow")
        answers.append(asked["Body"].read())

    caller = threading.Thread(target=slow)
    caller.start()
    wait_for(gate.with_suffix(".begun").exists, "call under way")
    serving = ProcessId.from_record(server(context)["Process"])
    time.sleep(2.7)  # longer than a server may be idle
    with pytest.raises(ClientError, match="Rate exceeded") as throttled:
        runtime.invoke_endpoint(EndpointName="e", Body=b"")
    assert code(throttled) == ("ThrottlingException", 429)
    assert alive(serving)
    gate.touch()
    caller.join()
    assert answers == [b"slept"]

    wait_for(lambda: not alive(serving) and not alive(first), "end of the idle servers")
    assert server(context)["Process"] is None
    assert Endpoints(context).describe_endpoint(EndpointName="e")["EndpointStatus"] == "InService"
    assert runtime.invoke_endpoint(EndpointName="e", Body=b"3")["Body"].read() == b"fine:3"
    again = server(context)
    assert ProcessId.from_record(again["Process"]) != serving
    # A server that dies costs the call that it dies of, and no other.
    with pytest.raises(ClientError, match="went away"):
        runtime.invoke_endpoint(EndpointName="e", Body=b"", ContentType="text/crash")
    wait_for(lambda: server(context)["Process"] is None, "end of the server")
    assert runtime.invoke_endpoint(EndpointName="e", Body=b"4")["Body"].read() == b"fine:4"
    group = ProcessId.from_record(server(context)["Group"])
    Endpoints(context).delete_endpoint(EndpointName="e")
    assert not group_alive(group.pid)


def test_a_serverless_model_that_does_not_start_fails_at_once(context):
    described = deploy(context, "fail", ServerlessConfig=SERVERLESS)
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"].endswith("KeyError: 'no such layer: é'")


def test_calls_that_race_for_a_cold_server_share_one(context):
    deploy(context, ServerlessConfig={**SERVERLESS, "MaxConcurrency": 4})
    answers = []

    def ask(number):
        body = str(number).encode()
        answer = LocalRuntime(context).invoke_endpoint(EndpointName="e", Body=body)
        answers.append(answer["Body"].read())

    callers = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    warm = server(context)["Process"]
    ask(4)
    assert server(context)["Process"] == warm
    assert answers.pop() == b"fine:4"
    assert sorted(answers) == [b"fine:0", b"fine:1", b"fine:2", b"fine:3"]
    log = context.records.folder("endpoints", "e") / "deployments" / server(context)["Token"]
    assert (log / "supervisor.log").read_text() == ""


def test_a_serverless_server_that_ends_is_started_by_the_next_call(context):
    deploy(context, ServerlessConfig=SERVERLESS)
    runtime = LocalRuntime(context)
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        runtime.invoke_endpoint(EndpointName="e", Body=b"x", ContentType="text/crash")
    wait_for(lambda: server(context)["Process"] is None, "end of the server")
    assert runtime.invoke_endpoint(EndpointName="e", Body=b"x")["Body"].read() == b"fine:x"


def put(context, key, content):
    path = context.buckets.path(f"s3://{BUCKET}/{key}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return f"s3://{BUCKET}/{key}"


def found(context, uri):
    path = context.buckets.path(uri)
    wait_for(path.is_file, f"object {uri}")
    return path.read_bytes()


def test_an_asynchronous_request_waits_for_a_server_that_is_started_again(context):
    deploy(context, asynchronous=ASYNC)
    os.kill(server(context)["Process"]["Pid"], signal.SIGKILL)
    request = {"EndpointName": "e", "InputLocation": put(context, "in/x", b"x")}
    asked = LocalRuntime(context).invoke_endpoint_async(**request)
    assert found(context, asked["OutputLocation"]) == b"fine:x"


def test_an_asynchronous_request_that_ends_the_server_is_not_asked_for_ever(context):
    deploy(context, asynchronous=ASYNC)
    crash = LocalRuntime(context).invoke_endpoint_async(
        EndpointName="e", InputLocation=put(context, "in/x", b"x"), ContentType="text/crash"
    )
    assert b"went away" in found(context, crash["FailureLocation"])


@pytest.mark.slow
def test_an_asynchronous_endpoint_answers_in_the_bucket(context, tmp_path):
    described = deploy(context, asynchronous=ASYNC)
    assert described["AsyncInferenceConfig"] == ASYNC
    shown = EndpointConfigs(context).describe_endpoint_config(EndpointConfigName="e")
    assert shown["AsyncInferenceConfig"] == ASYNC
    with pytest.raises(ClientError, match="use InvokeEndpointAsync"):
        LocalRuntime(context).invoke_endpoint(EndpointName="e", Body=b"x")

    every_byte = bytes(range(256))
    image = put(context, "in/é '1'.jpg", every_byte)
    with served(context) as url:
        ask = client("sagemaker-runtime", url).invoke_endpoint_async
        asked = ask(EndpointName="e", InputLocation=image, InvocationTimeoutSeconds=30)
        assert asked["ResponseMetadata"]["HTTPStatusCode"] == 202
        assert asked["OutputLocation"].startswith(f"s3://{BUCKET}/async/e/output/")
        assert asked["InferenceId"] in asked["OutputLocation"]
        refused = ask(EndpointName="e", InputLocation=image, ContentType="text/plain")
        busy = ask(EndpointName="e", InputLocation=put(context, "in/busy", b"busy at first"))
        lost = ask(EndpointName="e", InputLocation=f"s3://{BUCKET}/in/none", InferenceId="mine")
        assert lost["InferenceId"] == "mine"
    assert found(context, asked["OutputLocation"]) == b"fine:" + every_byte
    assert found(context, busy["OutputLocation"]) == b"fine:busy at first"
    assert b"client error (415)" in found(context, refused["FailureLocation"])
    assert b"in/none does not exist" in found(context, lost["FailureLocation"])
    assert not context.buckets.is_object(refused["OutputLocation"])

    queue = AsyncQueue(context=context, endpoint="e")
    wait_for(lambda: queue.waiting() == [], "empty queue")
    runtime = LocalRuntime(context)
    never = put(context, "in/never", str(tmp_path / "never").encode())
    late = runtime.invoke_endpoint_async(
        EndpointName="e", InputLocation=never, ContentType="text/slow", RequestTTLSeconds=60
    )
    worker = ProcessId.from_record(
        context.records.read("endpoints", "e")["Local"]["Worker"]["Group"]
    )
    Endpoints(context).delete_endpoint(EndpointName="e")
    assert not alive(worker)
    assert not context.buckets.is_object(late["OutputLocation"])


def test_asking_asynchronously_needs_such_an_endpoint_and_an_input(context):
    deploy(context)
    runtime = LocalRuntime(context)
    with pytest.raises(ClientError, match="is not asynchronous"):
        runtime.invoke_endpoint_async(EndpointName="e", InputLocation="s3://bucket/x")
    with pytest.raises(ClientError, match="Endpoint nobody of account 000000000000 not found"):
        runtime.invoke_endpoint_async(EndpointName="nobody", InputLocation="s3://bucket/x")


@pytest.mark.parametrize(
    ("variant", "asynchronous", "said"),
    [
        ({"InstanceType": "ml.m5.large"}, None, "no instances: leave out InstanceType"),
        ({}, ASYNC, "serverless and asynchronous"),
        ({"ServerlessConfig": {**SERVERLESS, "MemorySizeInMB": 1500}}, None, "1024, 2048"),
        (
            {"ServerlessConfig": {**SERVERLESS, "ProvisionedConcurrency": 2}},
            None,
            "ProvisionedConcurrency=2, more than MaxConcurrency=1",
        ),
        ({"ServerlessConfig": None}, {"OutputConfig": {}}, "no S3OutputPath"),
        (
            {"ServerlessConfig": None},
            {"OutputConfig": {"S3OutputPath": "s3://b/../x"}},
            "not a valid S3 location",
        ),
    ],
)
def test_kinds_do_not_mix(context, variant, asynchronous, said):
    given = {"ServerlessConfig": SERVERLESS, **variant}
    given = {key: value for key, value in given.items() if value is not None}
    with pytest.raises(ClientError, match=said) as refused:
        make_config(context, "e", "fine", asynchronous, **given)
    assert code(refused) == ("ValidationException", 400)
