"""A test image of any size reaches the endpoint."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from platforms.errors import DataError
from tasks.endpoints.fitting import fitted
from tasks.endpoints.invoke import invoke
from tests.worlds.local.serving import make_config, serving_context, wait_for_endpoint


def noisy(kind: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (1500, 2000, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def test_a_picture_is_scaled_until_it_fits():
    png = noisy("PNG")
    assert len(png) > 6_291_456
    small = fitted(png, 1_000_000)
    assert len(small) <= 1_000_000
    with Image.open(io.BytesIO(small)) as image:
        assert (image.format, image.size) == ("JPEG", (1024, 768))


def test_what_is_no_picture_is_said():
    with pytest.raises(DataError, match=r"a picture of 7.0 MB cannot be scaled down for a request"):
        fitted(bytes(7_000_000), 6_291_456)


@pytest.mark.slow
def test_an_endpoint_is_sent_no_more_than_it_takes(tmp_path, monkeypatch):
    from platforms import connect

    with serving_context(tmp_path) as context:
        monkeypatch.setenv("WHIPPET_HOME", str(context.settings.home))
        monkeypatch.setenv("WHIPPET_JOB_PYTHON", str(context.settings.job_python))
        make_config(context, "e", "seen:")
        connect().sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="e")
        wait_for_endpoint(context, "e")
        answer = invoke(connect(), "e", noisy("PNG"), "image/png")
    assert answer.startswith(b"seen:\xff\xd8\xff")
    assert len(answer) < 6_291_456
