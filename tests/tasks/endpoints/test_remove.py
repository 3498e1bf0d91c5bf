"""Endpoints are deleted as soon as their platform allows it."""

from __future__ import annotations

import dataclasses

import pytest

from platforms import Settings, connect
from platforms.client_errors import client_error
from tasks.endpoints.remove import remove_endpoint
from tests.worlds.fake_sagemaker import FakeSageMaker


def refused(status: str) -> Exception:
    return client_error(
        "DeleteEndpoint", "ValidationException", f"Cannot update in-progress endpoint ({status})"
    )


@pytest.fixture
def account(tmp_path):
    platform = connect(Settings(home=tmp_path))
    fake = FakeSageMaker()
    quick = dataclasses.replace(platform.defaults, poll_seconds=0.01)
    return dataclasses.replace(platform, sagemaker=fake, defaults=quick)


def place(account, status: str) -> FakeSageMaker:
    fake = account.sagemaker
    fake.resources["endpoint", "e"] = {"EndpointName": "e", "EndpointStatus": status}
    for kind in ("EndpointConfig", "Model"):
        member = f"{kind}Name"
        key = "endpoint_config" if kind == "EndpointConfig" else "model"
        fake.resources[key, "e"] = {member: "e"}
    return fake


@pytest.mark.parametrize("status", ["InService", "Creating", "Failed"])
def test_what_may_be_deleted_is_deleted_at_once(account, capsys, status):
    fake = place(account, status)
    remove_endpoint(account, "e", "e", ["e"])
    assert not fake.resources
    assert [name for name, _ in fake.calls] == [
        "delete_endpoint",
        "delete_endpoint_config",
        "delete_model",
    ]
    assert capsys.readouterr().err == ""


def test_what_is_being_created_is_waited_for_with_a_word(account, capsys):
    fake = place(account, "Creating")
    fake.faults["delete_endpoint"] = [refused("Creating")] * 3
    remove_endpoint(account, "e", "e", ["e"])
    assert not fake.resources
    said = capsys.readouterr().err
    assert said == "endpoint e is Creating, and cannot be deleted yet; waiting (0 s)\n"


def test_a_refusal_of_an_endpoint_at_rest_is_an_error(account):
    place(account, "InService").faults["delete_endpoint"] = [refused("for another reason")]
    with pytest.raises(Exception, match="for another reason"):
        remove_endpoint(account, "e", "e", ["e"])


def test_without_an_endpoint_its_parts_are_deleted(account):
    fake = place(account, "InService")
    del fake.resources["endpoint", "e"]
    remove_endpoint(account, "e", "e", ["e"])
    assert not fake.resources
