"""What a picture will cost, from its header."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image

from sm_entrypoints.images.cost import decoding_cost


def _encoded(kind: str, size: tuple[int, int], mode: str = "RGB", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.radial_gradient("L").resize(size).convert(mode).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_plain_jpeg_costs_its_pixels(mode: str) -> None:
    assert decoding_cost(_encoded("JPEG", (300, 200), mode)) == 60_000


def test_each_scan_is_a_pass() -> None:
    progressive = _encoded("JPEG", (300, 200), progressive=True)
    scans = progressive.count(b"\xff\xda")
    assert scans >= 6
    assert decoding_cost(progressive) == 60_000 * scans
    last = progressive.rfind(b"\xff\xda")
    many = progressive[:-2] + progressive[last:-2] * 3000 + b"\xff\xd9"
    assert 60_000 * 100 < decoding_cost(many) < 60_000 * 200  # as far as anybody needs to know


def test_a_png_takes_longer() -> None:
    assert decoding_cost(_encoded("PNG", (300, 200))) == 120_000
    interlaced = bytearray(_encoded("PNG", (300, 200)))
    interlaced[28] = 1
    assert decoding_cost(bytes(interlaced)) == 240_000


def test_metadata_is_passed_over() -> None:
    jpeg = _encoded("JPEG", (300, 200))
    note = b"\xff\xfe\x00\x22" + b"\xff\xc0\x00\x11\x08" * 6 + b"ab"  # looks like a frame inside
    assert decoding_cost(jpeg[:2] + note * 100 + jpeg[2:]) == 60_000
    assert decoding_cost(jpeg[:2] + note * 300 + jpeg[2:]) > 400_000_000  # who would do that?


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\xff\xd8\xff", b"\xff\xd8\xff\xda", b"\x89PNG"])
def test_what_is_no_picture_costs_nothing(data: bytes) -> None:
    assert decoding_cost(data) == 0


def test_half_a_header_is_no_fault() -> None:
    for kind in ("JPEG", "PNG"):
        whole = _encoded(kind, (30, 20))
        for length in range(len(whole)):
            assert decoding_cost(whole[:length]) <= 2**32


@pytest.mark.parametrize("junk", [b"\x00", b"\xff", b"\xff\x00", b"\xff\xff\x00"])
def test_six_megabytes_of_junk_cost_nothing_and_no_time(junk: bytes) -> None:
    assert decoding_cost(b"\xff\xd8\xff" + junk * (6_000_000 // len(junk))) == 0


def test_fillers_before_a_marker_are_passed_over() -> None:
    data = _encoded("JPEG", (300, 200))
    assert decoding_cost(data[:2] + b"\xff" * 500 + data[2:]) == 60_000
