"""A model that has too many calls is asked again; whatever else it refuses is final."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from platforms.errors import EndpointFailed
from platforms.local.hosting.model_calls import model_error
from tasks.endpoints.invoke import invoke
from tests.worlds.fake_sagemaker import FakeSageMaker
from tests.worlds.platforms import deploy, fake_platform


def platform(statuses):
    """Return a platform whose model answers with these statuses, then with its answer."""
    sagemaker, left = FakeSageMaker(), list(statuses)
    deploy(sagemaker, "e", None)

    def invoke_endpoint(**request):
        if left:
            raise model_error("e", left.pop(0), "what it says")
        return {"Body": io.BytesIO(request["Body"])}

    return fake_platform(sagemaker, runtime=SimpleNamespace(invoke_endpoint=invoke_endpoint))


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_model_is_asked_again_after_longer_and_longer(status):
    pauses = []
    answer = invoke(platform([status] * 4), "e", b"x", "image/jpeg", pause=pauses.append)
    assert (answer, pauses) == (b"x", [1, 2, 4, 8])


@pytest.mark.parametrize(("statuses", "waits"), [([429] * 5, 4), ([400], 0), ([500], 0), ([0], 0)])
def test_what_it_refuses_for_good_is_said(statuses, waits):
    pauses = []
    with pytest.raises(EndpointFailed, match=rf"\({statuses[-1]}\).*what it says"):
        invoke(platform(statuses), "e", b"x", "image/jpeg", pause=pauses.append)
    assert len(pauses) == waits
