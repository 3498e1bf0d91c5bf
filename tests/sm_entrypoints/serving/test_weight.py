"""Which bodies take long, told before anybody decodes them."""

from __future__ import annotations

import base64
import gzip
import json

import pytest

from sm_entrypoints.serving.weight import is_heavy
from tests.worlds.hostile_bodies import good_picture, large_picture

LARGE = large_picture("JPEG", "RGB", 4000, 3000)
SMALL = good_picture()


def _wrappings(picture: bytes) -> list[bytes]:
    text = base64.b64encode(picture)
    return [
        picture,
        text,
        b"data:image/jpeg;base64," + text,
        json.dumps({"image": text.decode()}).encode(),
        gzip.compress(picture),
        gzip.compress(gzip.compress(text)),
    ]


@pytest.mark.parametrize("number", range(6))
def test_a_picture_of_many_pixels_is_heavy_in_any_wrapping(number: int) -> None:
    assert is_heavy(_wrappings(LARGE)[number])
    assert not is_heavy(_wrappings(SMALL)[number])


@pytest.mark.parametrize(
    "body",
    [
        gzip.compress(bytes(1 << 20)),
        b"[" + b"1," * 200_000,
        large_picture("PNG", "RGB", 2500, 2000),
        SMALL + bytes(3 << 20),
    ],
)
def test_what_takes_a_look_itself_is_heavy(body: bytes) -> None:
    assert is_heavy(body)


@pytest.mark.parametrize(
    "body", [b"", b"abc", b"[" * 1000, gzip.compress(b"a", mtime=0)[:-4], bytes(1000)]
)
def test_what_is_refused_at_once_is_not(body: bytes) -> None:
    assert not is_heavy(body)
