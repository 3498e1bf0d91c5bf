"""A test image of any size reaches the endpoint."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from platforms.errors import DataError
from tasks.endpoints.fitting import fitted
from tasks.endpoints.invoke import as_sent, invoke
from tasks.endpoints.predictions import read_image, suffix_of
from tests.worlds.fake_sagemaker import FakeSageMaker
from tests.worlds.local.serving import make_config, serving_context, wait_for_endpoint
from tests.worlds.platforms import deploy, fake_platform


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


def test_what_is_sent_is_known_beforehand():
    sagemaker = FakeSageMaker()
    deploy(sagemaker, "e", None)
    platform, png = fake_platform(sagemaker), noisy("PNG")
    sent, kind = as_sent(platform, "e", png, "image/png")
    assert (sent[:3], kind) == (b"\xff\xd8\xff", "image/jpeg")
    assert len(sent) <= 6_291_456
    assert as_sent(platform, "e", b"small", "image/png") == (b"small", "image/png")
    # Where the model takes something else, its answer tells.
    numbers = bytes(7_000_000)
    assert as_sent(platform, "e", numbers, "application/x-npy") == (numbers, "application/x-npy")


@pytest.mark.parametrize(
    ("path", "kind", "suffix"),
    [
        ("a/b.PNG", "image/png", ".PNG"),
        ("a/b.png", "image/jpeg", ".jpg"),
        ("a/b.jpeg", "image/jpeg", ".jpeg"),
        ("a/b", "image/png", ".png"),
    ],
)
def test_a_file_is_named_by_what_is_in_it(path, kind, suffix):
    assert suffix_of(path, kind) == suffix


def test_a_file_larger_than_any_picture_is_not_read(tmp_path):
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(600_000_000)  # on no disk
    with pytest.raises(DataError, match=r"huge.jpg' has 600 MB, more than the 537 MB"):
        read_image(path)


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
