"""Pictures in whatever a client wraps them in."""

from __future__ import annotations

import base64
import gzip
import io
import json
import urllib.parse

import numpy as np
import pytest
from PIL import Image

from sm_entrypoints.inference import RequestError, input_fn


def _encoded(kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((60, 40), 90).convert("RGB").save(buffer, kind)
    return buffer.getvalue()


PNG, JPEG = _encoded(), _encoded("JPEG")
TEXT = base64.b64encode(PNG)
URI = b"data:image/png;base64," + TEXT


def _form(*parts: tuple[str, bytes], newline: bytes = b"\r\n") -> bytes:
    lines = []
    for said, content in parts:
        head = f"Content-Disposition: form-data; {said}".encode()
        lines += [b"--X1--y", head, b"Content-Type: image/png", b"", content]
    return newline.join([*lines, b"--X1--y--", b""])


def _npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((4, 4, 3), np.uint8))
    return buffer.getvalue()


FORM = _form(('name="note"', b"hello"), ('name="file"; filename="a b.png"', PNG))
LINES = base64.encodebytes(PNG)
URLSAFE = base64.urlsafe_b64encode(PNG).rstrip(b"=")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (TEXT, "text/plain"),
        (TEXT.decode(), "image/png"),
        (LINES, None),
        (URLSAFE, "application/octet-stream"),
        (URI, "text/plain; charset=utf-8"),
        (URI.decode(), ""),
        (b"DATA:;base64," + urllib.parse.quote_from_bytes(TEXT).encode(), "image/png"),
        (b"data:image/png," + urllib.parse.quote_from_bytes(PNG).encode(), None),
        (json.dumps({"image": TEXT.decode()}), "application/json"),
        (json.dumps({"instances": [{"b64": URI.decode(), "key": "7"}]}), "application/json"),
        (json.dumps(TEXT.decode()), "Application/JSON; charset=utf-8"),
        (FORM, "multipart/form-data; boundary=X1--y"),
        (_form(('name="file"; filename="x"', PNG), newline=b"\n"), "multipart/form-data"),
        (_form(('name="image"', TEXT)), "multipart/form-data"),
        (gzip.compress(PNG), "application/gzip"),
        (gzip.compress(PNG), "image/png"),
        (gzip.compress(TEXT), None),
        (gzip.compress(json.dumps([URI.decode()]).encode()), "application/json"),
    ],
    ids=range(18),
)
def test_a_wrapped_picture_is_the_picture(body: bytes | str, content_type: str | None) -> None:
    assert np.array_equal(np.asarray(input_fn(body, content_type)), np.asarray(input_fn(PNG)))


@pytest.mark.parametrize(
    ("body", "content_type", "status", "said"),
    [
        (_npy(), "application/x-npy", 415, "the body is a NumPy array (.npy)"),
        (_npy(), None, 400, "The body is a NumPy array (.npy); send"),
        (base64.b64encode(_npy()), "text/plain", 400, "a NumPy array"),
        (_encoded("GIF"), "image/png", 400, "The body is a GIF picture; send"),
        (_encoded("WEBP"), None, 400, "a WebP picture"),
        (b"<!DOCTYPE html><html>", "image/jpeg", 400, "HTML or XML"),
        (b"%PDF-1.7 ...", None, 400, "a PDF"),
        (b"photo.jpg", "image/jpeg", 400, "The body is text; send"),
        (b"[[1, 2], [3, 4]]", "application/json", 400, "JSON without a picture"),
        (b'{"image": "cat.jpg"}', "application/json", 400, "JSON without a picture"),
        (b"{broken", "application/json", 415, "'application/json', and the body is JSON"),
        (json.dumps([TEXT.decode()] * 2), "application/json", 400, "with 2 pictures"),
        (
            _form(('name="a"; filename="a"', PNG), ('name="b"; filename="b"', JPEG)),
            "multipart/form-data; boundary=X1--y",
            400,
            "with 2 pictures",
        ),
        (_form(), "multipart/form-data", 415, "multipart/form-data"),
        (b"data:image/png;base64,@@@", "text/plain", 400, "data URI is not base64"),
        (b"data:image/png;base64", "text/plain", 400, "without a comma"),
        (gzip.compress(PNG)[:-30], "image/png", 400, "its end is missing"),
        (gzip.compress(PNG)[:12] + b"\xff" * 40, "image/png", 400, "gzip, and broken"),
        (gzip.compress(bytes(70_000_000), 1), "image/png", 413, "unpacks to more than"),
        (gzip.compress(TEXT[:400] + TEXT[600:]), None, 400, "cannot be decoded"),
        (b"[" * 100_000, "application/json", 415, "JSON"),
    ],
    ids=range(21),
)
def test_what_holds_no_picture_is_named(
    body: bytes | str, content_type: str | None, status: int, said: str
) -> None:
    with pytest.raises(RequestError) as raised:
        input_fn(body, content_type)
    assert (raised.value.status_code, said in str(raised.value)) == (status, True), raised.value
    assert str(raised.value).endswith(".")


def test_wrappings_do_not_go_on_for_ever() -> None:
    body = PNG
    for _ in range(9):
        body = gzip.compress(body)
    with pytest.raises(RequestError, match="wrapped more than 5 times"):
        input_fn(body)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"[" + b"[]," * 200_000, "JSON of more than 100,000 values"),
        (b'{"a":[' + b'"b",' * 200_000, "JSON of more than 100,000 values"),
        (b"--\nContent-Disposition: form-data\n" + b"--\n" * 5000, "form of more than 1,000 parts"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_many_small_values_are_not_even_read(text: bytes, says: str, packed: bool) -> None:
    """Each takes dozens of bytes: 32 MB of them, from a few kilobytes of gzip, took gigabytes."""
    body = gzip.compress(text) if packed else text
    with pytest.raises(RequestError, match=says) as caught:
        input_fn(body, "application/json")
    assert caught.value.status_code == 400


def test_long_texts_are_decoded_in_pieces() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (320, 320, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "PNG")
    data = buffer.getvalue()
    assert len(data) > 300_000
    bodies = [
        base64.b64encode(data),
        base64.encodebytes(data),
        base64.urlsafe_b64encode(data).rstrip(b"="),
        b"data:image/png," + urllib.parse.quote_from_bytes(data).encode(),
        b"data:image/png," + b"".join(b"%%%02x" % byte for byte in data),
    ]
    for body in bodies:
        assert np.array_equal(np.asarray(input_fn(body, None)), noise)


def test_base64_that_goes_on_after_its_end_is_none() -> None:
    text = base64.b64encode(PNG[:-1]) + base64.b64encode(PNG)
    assert b"=" in text[:-4]
    with pytest.raises(RequestError, match="data URI is not base64"):
        input_fn(b"data:image/png;base64," + text, None)
