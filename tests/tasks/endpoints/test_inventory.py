"""The listing of what Whippet made, and what a clean-up means of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from platforms.client_errors import client_error
from tasks.endpoints.inventory import list_endpoints, meant_by
from tasks.parameters.upkeep import CleanUpParameters
from tests.worlds.fake_sagemaker import FakeSageMaker, throttled
from tests.worlds.platforms import deploy, fake_platform, four_endpoints

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)


@pytest.fixture
def sagemaker() -> FakeSageMaker:
    return four_endpoints(NOW)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, ["old"]),
        ({"all": True}, ["old", "new", "forever"]),
        ({"endpoint": "new"}, ["new"]),
        ({"endpoint": "new", "all": True}, ["new"]),
        ({"endpoint": "foreign"}, []),
        ({"endpoint": "nothing"}, []),
    ],
)
def test_what_is_removed(sagemaker, parameters, expected):
    states = list_endpoints(fake_platform(sagemaker))
    assert {state.name for state in states} == {"old", "new", "forever"}
    chosen = meant_by(CleanUpParameters(**parameters), states, NOW)
    assert [state.name for state in chosen] == expected


def test_time_to_live_ends_at_its_second(sagemaker):
    (old,) = [state for state in list_endpoints(fake_platform(sagemaker)) if state.name == "old"]
    assert old.expires == NOW - timedelta(hours=1)
    assert old.expired(NOW - timedelta(hours=1))
    assert not old.expired(NOW - timedelta(hours=1, seconds=1))


def test_every_page_is_read():
    fake = FakeSageMaker(page_size=2)
    for number in range(7):
        deploy(fake, f"e{number}", None)
    assert len(list_endpoints(fake_platform(fake))) == 7


def test_an_endpoint_deleted_while_it_is_listed_is_left_out(sagemaker):
    gone = client_error("ListTags", "ValidationException", "Could not find endpoint")
    sagemaker.faults["list_tags"].append(gone)
    assert {state.name for state in list_endpoints(fake_platform(sagemaker))} == {
        "new",
        "forever",
    }


def test_throttling_does_not_hide_an_endpoint_that_bills(sagemaker):
    sagemaker.faults["list_tags"].append(throttled())
    with pytest.raises(ClientError, match="Rate exceeded"):
        list_endpoints(fake_platform(sagemaker))
