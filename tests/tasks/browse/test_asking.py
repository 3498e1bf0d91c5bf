"""Which endpoints a visitor may ask, and what comes of it."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from platforms.errors import DataError, EndpointFailed
from tasks.browse.asking import EndpointsInService
from tests.worlds.asked_endpoints import Runtime, endpoints_over, picture
from tests.worlds.fake_sagemaker import throttled
from tests.worlds.platforms import fake_platform


@pytest.fixture
def runtime() -> Runtime:
    return Runtime()


@pytest.fixture
def endpoints(runtime: Runtime) -> EndpointsInService:
    return endpoints_over(runtime, creating="old")


def test_those_in_service_that_are_ours(endpoints: EndpointsInService) -> None:
    assert sorted(endpoints.names()) == ["forever", "new"]


def test_an_answer(endpoints: EndpointsInService, runtime: Runtime) -> None:
    assert endpoints.ask("new", picture()) == [("châ", 0.75)]
    assert runtime.sent[0]["ContentType"] == "image/png"


@pytest.mark.slow
def test_a_large_picture_is_sent_scaled(endpoints: EndpointsInService, runtime: Runtime) -> None:
    large = picture(size=1500)
    assert len(large) > 4 * 2**20
    endpoints.ask("new", large)
    assert len(runtime.sent[0]["Body"]) <= 4 * 2**20
    assert runtime.sent[0]["ContentType"] == "image/jpeg"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"<svg/>", "not a JPEG or PNG"),
        (picture("GIF"), "not a JPEG or PNG but GIF"),
    ],
)
def test_what_is_no_picture_is_never_sent(
    endpoints: EndpointsInService, runtime: Runtime, content: bytes, reason: str
) -> None:
    with pytest.raises(DataError, match=reason):
        endpoints.ask("new", content)
    assert not runtime.sent


@pytest.mark.parametrize("name", ["foreign", "old", "nothing"])
def test_nobody_elses_endpoint_is_asked(
    endpoints: EndpointsInService, runtime: Runtime, name: str
) -> None:
    with pytest.raises(EndpointFailed, match="no longer in service"):
        endpoints.ask(name, picture())
    assert not runtime.sent


def test_a_refusal_has_its_reason(endpoints: EndpointsInService) -> None:
    with pytest.raises(EndpointFailed, match="the model broke"):
        endpoints.ask("forever", picture())


def test_a_service_that_lists_nothing_says_why() -> None:
    sagemaker = SimpleNamespace(list_endpoints=lambda **_: (_ for _ in ()).throw(throttled("List")))
    asked = EndpointsInService(lambda: fake_platform(sagemaker))
    with pytest.raises(EndpointFailed, match=r"endpoints cannot be listed: .*Rate exceeded"):
        asked.names()
