"""Endpoints come back when all their processes are gone, as after a restart of the machine."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import replace
from datetime import UTC, datetime

import psutil
import pytest

from platforms.local.connection import connect_local
from platforms.local.hosting.endpoints import Endpoints
from platforms.local.hosting.models import EndpointConfigs, Models
from platforms.local.hosting.reviving import lost_endpoints, revive_endpoint
from platforms.local.hosting.runtime import LocalRuntime
from platforms.processes.process import ProcessError, ProcessId, alive
from tasks.endpoints.revive import revive_endpoints
from tasks.leftovers.reaper import find_leftovers
from tasks.parameters.upkeep import CleanUpParameters
from tasks.requests.tags import EXPIRES_TAG, RUN_TAG
from tests.worlds.local.serving import make_config, serving_context, wait_for_endpoint
from tests.worlds.waiting import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture
def context(tmp_path):
    with serving_context(tmp_path) as context:
        yield context


def deploy(context, name: str, behaviour: str = "fine", **tags: str) -> None:
    config = make_config(context, name, behaviour)
    found = [{"Key": key, "Value": value} for key, value in tags.items()]
    Endpoints(context).create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=found)


def restart_machine(context) -> None:
    """Kill every process of all endpoints, and let their files tell of an earlier boot."""
    for name in context.records.names("endpoints"):
        local = context.records.read("endpoints", name)["Local"]
        for owner in (local["Pending"], local["Server"]):
            group = ProcessId.from_record(owner["Group"]) if owner and owner["Group"] else None
            if group is not None:
                os.killpg(group.pid, signal.SIGKILL)
                wait_for(lambda group=group: not alive(group), "end of the supervisor")
        context.records.update("endpoints", name, earlier_boot)


def earlier_boot(value):
    """Return a record in which every process is one of an earlier boot, and its pid somebody's."""
    if isinstance(value, dict) and "Pid" in value:
        ours = {"Pid": os.getpid(), "Boot": "an earlier one"}
        return {**value, **ours}
    if isinstance(value, dict):
        return {key: earlier_boot(each) for key, each in value.items()}
    return [earlier_boot(each) for each in value] if isinstance(value, list) else value


def status(context, name: str) -> str:
    return str(Endpoints(context).describe_endpoint(EndpointName=name)["EndpointStatus"])


def test_they_answer_again_after_a_restart_though_config_and_model_are_gone(context):
    deploy(context, "e")
    deploy(context, "starting", "slow")
    wait_for_endpoint(context, "e")
    wait_for(
        lambda: context.records.read("endpoints", "starting")["Local"]["Pending"]["Group"],
        "supervisor of the second one",
    )
    EndpointConfigs(context).delete_endpoint_config(EndpointConfigName="e")
    Models(context).delete_model(ModelName="e")
    restart_machine(context)
    assert status(context, "e") == "Failed"
    assert lost_endpoints(context) == ["e", "starting"]
    assert revive_endpoint(context, "e")
    assert not revive_endpoint(context, "e")  # one of two that revive it does
    assert wait_for_endpoint(context, "e")["EndpointStatus"] == "InService"
    answer = LocalRuntime(context).invoke_endpoint(EndpointName="e", Body=b"!", ContentType="x/y")
    assert answer["Body"].read() == b"fine!"
    record = context.records.read("endpoints", "e")
    assert "FailureReason" not in record
    # What it replaces is seen to after it is in service.
    wait_for(
        lambda: context.records.read("endpoints", "e")["Local"]["Retired"] == [],
        "end of what ran before the restart",
    )
    assert lost_endpoints(context) == ["starting"]
    # This process has the pid of all that ran before the restart, and still lives.
    Endpoints(context).delete_endpoint(EndpointName="e")


def strays(context) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline", "status"])
        if f"# stray of {context.home}" in " ".join(process.info["cmdline"] or ())
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="the environment of other processes")
@pytest.mark.parametrize("killed", [False, True])
def test_what_a_handler_started_in_another_session_goes_with_the_endpoint(context, killed):
    deploy(context, "e", "strays")
    wait_for_endpoint(context, "e")
    assert len(strays(context)) == 1
    if killed:
        group = context.records.read("endpoints", "e")["Local"]["Server"]["Group"]
        os.kill(group["Pid"], signal.SIGKILL)
    Endpoints(context).delete_endpoint(EndpointName="e")
    wait_for(lambda: not strays(context), "end of what the handler started")


def test_one_that_failed_by_itself_is_not_revived(context):
    deploy(context, "bad", "fail")
    assert wait_for_endpoint(context, "bad")["EndpointStatus"] == "Failed"
    assert lost_endpoints(context) == []
    assert not revive_endpoint(context, "bad")
    assert not revive_endpoint(context, "nothing")


def test_one_whose_time_has_passed_stays_down_and_is_cleaned_up(context):
    tags = {RUN_TAG: "demo", EXPIRES_TAG: "2026-01-01T00:00:00+00:00"}
    deploy(context, "old", **tags)
    deploy(context, "new", **{RUN_TAG: "demo"})
    for name in ("old", "new"):
        wait_for_endpoint(context, name)
    restart_machine(context)
    platform = connect_local(context.settings)
    left = {each.name for each in find_leftovers(platform, CleanUpParameters(), datetime.now(UTC))}
    assert "old" in left
    assert "new" not in left  # it comes back
    found = dict(revive_endpoints(platform))
    assert found == {"new": None, "old": "its time to live has passed"}
    assert wait_for_endpoint(context, "new")["EndpointStatus"] == "InService"
    assert status(context, "old") == "Failed"


def test_one_that_cannot_be_started_keeps_no_other_down(context):
    def revive(name: str) -> bool:
        if name == "one":
            raise ProcessError("cannot start it")
        return True

    lost = replace(
        connect_local(context.settings), lost_endpoints=lambda: ["one", "two"], revive=revive
    )
    assert dict(revive_endpoints(lost)) == {"one": "cannot start it", "two": None}
