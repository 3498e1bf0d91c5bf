from __future__ import annotations

import json
import os
import signal

import httpx
import psutil
import pytest
from botocore.exceptions import ClientError

from platforms.errors import SettingsError
from platforms.local.context import local_context
from platforms.local.hosting.deployment import Deployment
from platforms.local.hosting.endpoints import Endpoints, local_url
from platforms.local.hosting.models import EndpointConfigs, Models
from platforms.local.hosting.record import deleting, down
from platforms.local.hosting.restarts import Restarts
from platforms.local.hosting.runtime import LocalRuntime
from platforms.processes.process import ProcessId, alive, group_alive, identify
from platforms.settings import Settings
from tests.worlds.local.serving import make_config, wait_for_endpoint
from tests.worlds.waiting import wait_for

pytestmark = pytest.mark.slow


def deploy(context, name, behaviour="fine", **variant):
    make_config(context, name, behaviour, **variant)
    Endpoints(context).create_endpoint(EndpointName=name, EndpointConfigName=name)


def invoke(context, name, body=b"", **more):
    return LocalRuntime(context).invoke_endpoint(EndpointName=name, Body=body, **more)


def server_of(context, name):
    return ProcessId.from_record(
        context.records.read("endpoints", name)["Local"]["Server"]["Process"]
    )


def pending_group(context, name):
    """Return the process of the deployment that has begun."""
    return wait_for(
        lambda: context.records.read("endpoints", name)["Local"]["Pending"]["Group"],
        "supervisor",
        pause=0.01,
    )


def test_two_endpoints_serve_at_once_and_delete_ends_their_processes(context):
    deploy(context, "one", "1:")
    deploy(context, "two", "2:")
    described = wait_for_endpoint(context, "one")
    wait_for_endpoint(context, "two")
    assert described["EndpointStatus"] == "InService"
    assert described["EndpointConfigName"] == "one"
    assert described["CreationTime"] <= described["LastModifiedTime"]
    assert described["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert not {"Tags", "Local"} & set(described)

    every_byte = bytes(range(256)) * 50
    first = invoke(context, "one", every_byte, ContentType="image/jpeg", Accept="image/png")
    assert first["Body"].read() == b"1:" + every_byte
    assert (first["ContentType"], first["InvokedProductionVariant"]) == ("image/png", "AllTraffic")
    assert first["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert invoke(context, "two", b"x")["Body"].read() == b"2:x"
    url = local_url(context, "two")
    assert url.startswith("http://127.0.0.1:")
    assert httpx.post(url, content=b"curl", trust_env=False).content == b"2:curl"

    servers = [server_of(context, name) for name in ("one", "two")]
    Endpoints(context).delete_endpoint(EndpointName="one")
    assert [alive(server) for server in servers] == [False, True]
    with pytest.raises(ClientError, match='Could not find endpoint "arn:aws:sagemaker'):
        Endpoints(context).describe_endpoint(EndpointName="one")
    with pytest.raises(ClientError, match="Endpoint one of account 000000000000 not found"):
        invoke(context, "one")


def test_the_server_sees_the_models_environment_and_no_secret_of_ours(context, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1")
    deploy(context, "e")
    wait_for_endpoint(context, "e")
    answer = invoke(context, "e", ContentType="text/environment", CustomAttributes="a=1")
    environment = json.loads(answer["Body"].read())
    assert environment["SAGEMAKER_PROGRAM"] == "inference.py"
    assert environment["PYTHONPATH"].endswith("/model/code")
    assert not [key for key in environment if key.startswith(("AWS_S", "PREFECT_", "WHIPPET_"))]
    assert answer["CustomAttributes"] == "seen"


def test_a_model_that_does_not_load_shows_the_end_of_its_traceback(context):
    deploy(context, "e", "fail")
    described = wait_for_endpoint(context, "e")
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"].endswith("KeyError: 'no such layer: é'")
    assert "did not pass the ping health check" in described["FailureReason"]
    assert len(described["FailureReason"]) <= 1024
    with pytest.raises(ClientError, match="ValidationError"):
        invoke(context, "e")
    with pytest.raises(ClientError, match="in status Failed; delete it"):
        Endpoints(context).update_endpoint(EndpointName="e", EndpointConfigName="e")


def test_a_server_that_exits_shows_its_code_and_its_last_words(context):
    deploy(context, "e", "exit")
    reason = wait_for_endpoint(context, "e")["FailureReason"]
    assert "exit code 137" in reason
    assert "out of memory, said the model" in reason


def test_a_server_that_does_not_answer_in_time_fails_and_is_ended(context):
    deploy(context, "e", "slow", ContainerStartupHealthCheckTimeoutInSeconds=3)
    group = pending_group(context, "e")
    described = wait_for_endpoint(context, "e")
    assert "no answer within 3 seconds" in described["FailureReason"]
    ProcessId.from_record(group)
    wait_for(lambda: not group_alive(group["Pid"]), "end of its processes")
    assert not group_alive(group["Pid"])


def test_update_switches_when_healthy_and_keeps_the_old_server_when_not(context, tmp_path):
    deploy(context, "e", "old:")
    wait_for_endpoint(context, "e")
    old = server_of(context, "e")

    gate = tmp_path / "gate"
    make_config(context, "broken", f"wait for {gate}")
    Endpoints(context).update_endpoint(EndpointName="e", EndpointConfigName="broken")
    updating = Endpoints(context).describe_endpoint(EndpointName="e")
    assert updating["EndpointStatus"] == "Updating"
    assert updating["PendingDeploymentSummary"]["EndpointConfigName"] == "broken"
    assert invoke(context, "e")["Body"].read() == b"old:"
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        Endpoints(context).update_endpoint(EndpointName="e", EndpointConfigName="e")
    gate.touch()
    described = wait_for_endpoint(context, "e")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "e")
    assert "no such layer" in described["FailureReason"]
    assert invoke(context, "e")["Body"].read() == b"old:"

    make_config(context, "next", "new:")
    Endpoints(context).update_endpoint(EndpointName="e", EndpointConfigName="next")
    described = wait_for_endpoint(context, "e")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", "next")
    assert "FailureReason" not in described
    assert invoke(context, "e")["Body"].read() == b"new:"
    wait_for(lambda: not alive(old), "end of the old server")
    assert not alive(old)


def status_of(context, name):
    return Endpoints(context).describe_endpoint(EndpointName=name)["EndpointStatus"]


def answers_again(context, name):
    """Invoke until it answers; return what was told meanwhile."""
    told = set()

    def answers():
        assert status_of(context, name) == "InService"
        try:
            return invoke(context, name, b"?")["Body"].read() == b"fine?"
        except ClientError as error:
            told.add(error.response["Error"]["Code"])
            return False

    wait_for(answers, lambda: f"answer of {name}: {told}")
    return told


def log_of(context, name):
    (log,) = context.records.folder("endpoints", name).glob("deployments/*/server.log")
    return log.read_text("utf-8")


def test_a_server_that_ends_is_started_again(context):
    deploy(context, "e")
    wait_for_endpoint(context, "e")
    first = server_of(context, "e")
    with pytest.raises(ClientError, match="ServiceUnavailable"):
        invoke(context, "e", ContentType="text/crash")
    assert answers_again(context, "e") <= {"ServiceUnavailable"}
    second = server_of(context, "e")
    assert "the model server ended (exit code 3); it will be restarted in 0 s" in log_of(
        context, "e"
    )
    os.kill(second.pid, signal.SIGKILL)
    assert answers_again(context, "e") <= {"ServiceUnavailable"}
    assert "(killed by SIGKILL); it will be restarted in 1 s" in log_of(context, "e")
    assert len({first.pid, second.pid, server_of(context, "e").pid}) == 3
    Endpoints(context).delete_endpoint(EndpointName="e")
    assert not context.records.names("endpoints")


def test_a_server_that_is_being_started_again_is_told_as_that(context):
    deploy(context, "e")
    wait_for_endpoint(context, "e")
    token = context.records.read("endpoints", "e")["Local"]["Server"]["Token"]
    context.records.update("endpoints", "e", lambda record: down(record, token))
    assert status_of(context, "e") == "InService"
    with pytest.raises(ClientError, match="is being restarted") as raised:
        invoke(context, "e")
    assert raised.value.response["Error"]["Code"] == "ServiceUnavailable"
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503


def test_a_server_that_cannot_be_started_again_is_given_up(context):
    make_config(context, "e", "exit")
    container = Models(context).describe_model(ModelName="e")["PrimaryContainer"]
    deployment = Deployment(
        context=context, endpoint="e", token="t", variant="AllTraffic", container=container
    )
    ours = identify(os.getpid()).to_record()
    local = {"Server": {"Token": "t", "Group": ours, "Process": ours, "Port": 1}}
    record = {"EndpointName": "e", "EndpointStatus": "InService", "Local": local}
    context.records.create("endpoints", "e", record)
    deployment.prepare()
    waited = []
    restarts = Restarts(
        deployment=deployment,
        server=deployment.start(),
        delays=(0.25, 0.5),
        failed_starts=3,
        pause=waited.append,
    )
    restarts.run()
    found = context.records.read("endpoints", "e")
    assert waited == [0.25, 0.5, 0.5]
    assert found["EndpointStatus"] == "Failed"
    assert "could not be restarted in 3 tries" in found["FailureReason"]
    assert "exit code 137" in found["FailureReason"]
    assert "out of memory, said the model" in found["FailureReason"]
    assert "giving up on the model server after 3 tries" in log_of(context, "e")
    context.records.delete("endpoints", "e")


def test_a_server_that_dies_without_its_supervisor_reads_as_failed(context):
    deploy(context, "e")
    wait_for_endpoint(context, "e")
    group = context.records.read("endpoints", "e")["Local"]["Server"]["Group"]
    os.kill(group["Pid"], signal.SIGKILL)
    assert invoke(context, "e", b"!")["Body"].read() == b"fine!"
    os.kill(server_of(context, "e").pid, signal.SIGKILL)
    wait_for(lambda: status_of(context, "e") != "InService", "failure to be seen")
    described = Endpoints(context).describe_endpoint(EndpointName="e")
    assert described["EndpointStatus"] == "Failed"
    assert "ended by itself" in described["FailureReason"]
    listed = Endpoints(context).list_endpoints(StatusEquals="Failed")["Endpoints"]
    assert [each["EndpointName"] for each in listed] == ["e"]


def test_a_killed_supervisor_leaves_a_failed_endpoint_and_no_server(context):
    deploy(context, "e", "slow")
    supervisor = ProcessId.from_record(pending_group(context, "e"))
    wait_for(lambda: psutil.Process(supervisor.pid).children(), "model server")
    (server,) = psutil.Process(supervisor.pid).children()
    os.kill(supervisor.pid, signal.SIGKILL)
    described = wait_for_endpoint(context, "e")
    assert described["EndpointStatus"] == "Failed"
    assert "ended before its server was in service" in described["FailureReason"]
    assert not server.is_running() or server.status() == psutil.STATUS_ZOMBIE


def test_delete_while_creating_ends_everything_and_frees_the_name(context):
    deploy(context, "e", "slow")
    group = pending_group(context, "e")
    assert Endpoints(context).describe_endpoint(EndpointName="e")["EndpointStatus"] == "Creating"
    Endpoints(context).delete_endpoint(EndpointName="e")
    assert not group_alive(group["Pid"])
    make_config(context, "f", "again:")
    Endpoints(context).create_endpoint(EndpointName="e", EndpointConfigName="f")
    assert wait_for_endpoint(context, "e")["EndpointStatus"] == "InService"


def test_errors_of_the_model_are_model_errors(context):
    deploy(context, "e")
    wait_for_endpoint(context, "e")
    with pytest.raises(ClientError) as caught:
        invoke(context, "e", b"hello", ContentType="text/plain")
    response = caught.value.response
    assert response["Error"]["Code"] == "ModelError"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == 415
    assert response["OriginalMessage"] == "text/plain is not an image"
    expected = 'Received client error (415) from primary with message "text/plain is not an image"'
    assert expected in response["Error"]["Message"]
    with pytest.raises(ClientError, match="less than or equal to 6291456"):
        invoke(context, "e", bytes(6_291_457))
    assert len(invoke(context, "e", bytes(6_291_456))["Body"].read()) == 6_291_460


def test_deleting_the_configuration_and_the_model_leaves_the_endpoint_serving(context, tmp_path):
    deploy(context, "e")
    wait_for_endpoint(context, "e")
    EndpointConfigs(context).delete_endpoint_config(EndpointConfigName="e")
    Models(context).delete_model(ModelName="e")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8")
    with (tmp_path / "photo.jpg").open("rb") as file:
        assert invoke(context, "e", file)["Body"].read() == b"fine\xff\xd8"


def test_create_refuses_before_anything_is_written(context, tmp_path):
    endpoints = Endpoints(context)
    with pytest.raises(ClientError, match='Could not find endpoint configuration "arn:aws'):
        endpoints.create_endpoint(EndpointName="e", EndpointConfigName="no")
    make_config(context, "c", "fine")
    missing = Settings(home=context.home, job_python=tmp_path / "nowhere/python")
    with pytest.raises(SettingsError, match="Create it with `make job-env`"):
        Endpoints(local_context(missing)).create_endpoint(EndpointName="e", EndpointConfigName="c")
    assert endpoints.list_endpoints()["Endpoints"] == []
    endpoints.create_endpoint(EndpointName="e", EndpointConfigName="c")
    with pytest.raises(ClientError, match="Cannot create already existing endpoint"):
        endpoints.create_endpoint(EndpointName="e", EndpointConfigName="c")


@pytest.mark.parametrize("operation", ["describe", "delete"])
def test_unknown_endpoints_are_named(context, operation):
    with pytest.raises(ClientError, match=r'ValidationException.*"arn:.*:endpoint/nobody"'):
        getattr(Endpoints(context), f"{operation}_endpoint")(EndpointName="nobody")


@pytest.mark.parametrize("look", ["describe", "list", "delete"])
def test_a_delete_whose_process_was_killed_is_finished_by_who_looks_next(context, look):
    deploy(context, "e")
    wait_for_endpoint(context, "e")
    server, dead = server_of(context, "e"), ProcessId(pid=os.getpid(), started=1.0)
    context.records.update("endpoints", "e", lambda record: deleting(record, dead))
    if look == "describe":
        with pytest.raises(ClientError, match="Could not find endpoint"):
            Endpoints(context).describe_endpoint(EndpointName="e")
    elif look == "list":
        assert Endpoints(context).list_endpoints()["Endpoints"] == []
    else:
        Endpoints(context).delete_endpoint(EndpointName="e")
    assert not alive(server)
    assert context.records.names("endpoints") == ()


def test_a_delete_that_goes_on_is_left_to_its_process(context):
    deploy(context, "e")
    wait_for_endpoint(context, "e")
    ours = identify(os.getpid())
    context.records.update("endpoints", "e", lambda record: deleting(record, ours))
    described = Endpoints(context).describe_endpoint(EndpointName="e")
    assert described["EndpointStatus"] == "Deleting"
    assert alive(server_of(context, "e"))
