"""Find the picture in a request's body, whatever its wrapping, or say what the body is instead.

Clients send pictures raw, as base64, as data URIs, in JSON, in forms and in gzip. Each wrapping is
recognised by its bytes and removed within a size limit; one picture must remain.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import urllib.parse
import zlib
from collections.abc import Iterator
from typing import Any

from sm_entrypoints.contract.sentences import ended
from sm_entrypoints.images.files import kind_of

# More than any request that SageMaker lets through: only a bomb unpacks to it.
MOST_BYTES = 32 * 1024 * 1024
# A picture in base64 in JSON in gzip in a form.
_MOST_WRAPPINGS = 5
_MOST_VALUES = 10_000
# A value or a part takes memory of its own, however short it is.
_MOST_JSON_MARKS = 100_000
_MOST_PARTS = 1_000
# What is decoded at once: meanwhile, no other thread runs.
_PIECE = 1 << 18
_LEAST_BASE64 = 24
_BASE64_SPACE = b" \t\n\r\f\v"
_FROM_URLSAFE = bytes.maketrans(b"-_", b"+/")
_DISPOSITION = re.compile(rb"^content-disposition:.*$", re.IGNORECASE | re.MULTILINE)
_GZIP, _NPY = b"\x1f\x8b", b"\x93NUMPY"
_OTHERS = (
    (_NPY, "a NumPy array (.npy)"),
    (b"PK\x03\x04", "a ZIP archive (.npz is one too)"),
    (b"%PDF", "a PDF"),
    (b"\x80\x04", "a Python pickle"),
    (b"\x80\x05", "a Python pickle"),
    (b"<", "HTML or XML text"),
    (b"{", "JSON"),
    (b"[", "JSON"),
)


class BodyError(Exception):
    """Raised when a body holds no picture, or several; ``status_code`` is the HTTP status."""

    def __init__(self, status_code: int, message: str) -> None:
        super().__init__(message)
        self.status_code = status_code


def picture_bytes(body: bytes, *, most: int = MOST_BYTES) -> bytes:
    """Return the bytes of the picture that a body holds; the body itself where it is unwrapped.

    Other content is returned too, without its wrappings: the decoder reports what is wrong.

    Raises:
        BodyError: 400 no picture or several in a wrapping, or a broken wrapping; 413 it unpacks to
            more than ``most`` bytes.
    """
    for _ in range(_MOST_WRAPPINGS):
        inner = _unwrapped(body, most)
        if inner is None:
            return body
        body = inner
    raise BodyError(
        400, f"The picture is wrapped more than {_MOST_WRAPPINGS} times; send it without wrappings."
    )


def what_it_is(body: bytes) -> str | None:
    """Return what a body is that is no JPEG or PNG picture, in words; None for what we cannot say.

    >>> what_it_is(b"GIF89a...")
    'a GIF picture'
    """
    kind = kind_of(body[:64])
    if kind is not None:
        article = "an" if kind[0] in "AH" and kind != "HEIF" else "a"
        return f"{article} {kind} picture"
    start = body[:64].lstrip()
    description = next((words for magic, words in _OTHERS if start.startswith(magic)), None)
    if description is None and body and body[:200].isascii() and body[:200].decode().isprintable():
        return "text"
    return description


def _unwrapped(body: bytes, most: int) -> bytes | None:
    """Return what is inside of one wrapping; None where there is none."""
    if body.startswith(_GZIP):
        return _gunzipped(body, most)
    start = body[:512].lstrip()
    if start.startswith(b"--") and b"content-disposition" in body[:1024].lower():
        return _of_form(body)
    if start[:5].lower() == b"data:":
        return _of_data_uri(body.strip())
    if start[:1] in (b"{", b"[", b'"'):
        return _of_json(body)
    return _of_base64(body)


def _gunzipped(body: bytes, most: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(body, most + 1)
    except zlib.error as error:
        raise BodyError(400, f"The body is gzip, and broken: {ended(error)}") from None
    if len(unpacked) > most:
        raise BodyError(413, f"The body unpacks to more than {most:,} bytes.")
    if not unpacker.eof:
        raise BodyError(400, "The body is gzip, and its end is missing.")
    return unpacked


def _of_form(body: bytes) -> bytes:
    boundary = body.lstrip().split(b"\n", 1)[0].strip()
    if body.count(boundary) > _MOST_PARTS:
        raise BodyError(400, f"The body is a form of more than {_MOST_PARTS:,} parts; send one.")
    files: list[bytes] = []
    fields: list[bytes] = []
    for part in body.split(boundary)[1:]:
        head, _, content = part.replace(b"\r\n\r\n", b"\n\n", 1).partition(b"\n\n")
        disposition = _DISPOSITION.search(head.replace(b"\r", b""))
        if disposition is None:
            continue  # what ends the form
        content = content.removesuffix(b"\n").removesuffix(b"\r")
        (files if b"filename" in disposition[0].lower() else fields).append(content)
    return _only([content for content in files or fields if content], "form")


def _of_data_uri(body: bytes) -> bytes:
    head, comma, content = body.partition(b",")
    if not comma:
        raise BodyError(400, "The body is a data URI without a comma.")
    if head.lower().rstrip().endswith(b";base64"):
        return _decoded(_unquoted(content), "The data URI")
    return _unquoted(content)


def _unquoted(text: bytes) -> bytes:
    """Return a text without its escapes (``%89``), made piece by piece."""
    parts, at = [], 0
    while at < len(text):
        end = at + _PIECE
        escape = text.rfind(b"%", end - 2, end)
        end = escape if escape >= 0 and end < len(text) else end
        parts.append(urllib.parse.unquote_to_bytes(text[at:end]))
        at = end
    return b"".join(parts)


def _of_json(body: bytes) -> bytes | None:
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > _MOST_JSON_MARKS:
        raise BodyError(
            400,
            f"The body is JSON of more than {_MOST_JSON_MARKS:,} values; send the bytes of a JPEG "
            'or PNG image, or {"image": "…base64…"}.',
        )
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return None
    pictures = []
    for text in _texts(value):
        raw = text.encode(errors="replace")
        if raw[:5].lower() == b"data:":
            pictures.append(_of_data_uri(raw))
        else:
            inner = _of_base64(raw)
            pictures += [] if inner is None else [inner]
    if not pictures:
        raise BodyError(
            400,
            "The body is JSON without a picture in base64; send the bytes of a JPEG or PNG image, "
            'or {"image": "…base64…"}.',
        )
    return _only(pictures, "JSON")


def _texts(value: Any) -> Iterator[str]:
    """Yield the strings in a JSON value, down to a bound."""
    waiting, seen = [value], 0
    while waiting and seen < _MOST_VALUES:
        each, seen = waiting.pop(), seen + 1
        if isinstance(each, str):
            yield each
        elif isinstance(each, list):
            waiting += each[: _MOST_VALUES - len(waiting)]
        elif isinstance(each, dict):
            waiting += list(each.values())[: _MOST_VALUES - len(waiting)]


def _of_base64(body: bytes) -> bytes | None:
    """Return what base64 stands for; None for what is something else, such as a text."""
    start = body[:128].translate(_FROM_URLSAFE, _BASE64_SPACE)[:64].rstrip(b"=")
    try:
        head = binascii.a2b_base64(start[: len(start) // 4 * 4], strict_mode=True)
        if not (kind_of(head) or head.startswith((_GZIP, _NPY))) or len(body) < _LEAST_BASE64:
            return None
        return _decoded(body, "The body")
    except (BodyError, binascii.Error):
        return None


def _decoded(text: bytes, what: str) -> bytes:
    """Return what base64 stands for, made piece by piece."""
    text = text.rstrip(b"=" + _BASE64_SPACE)
    parts, rest = [], b""
    try:
        for at in range(0, len(text), _PIECE):
            rest += text[at : at + _PIECE].translate(_FROM_URLSAFE, _BASE64_SPACE)
            if b"=" in rest:
                raise BodyError(400, f"{what} is not base64: there is more after its end.")
            whole = len(rest) // 4 * 4
            parts.append(base64.b64decode(rest[:whole], validate=True))
            rest = rest[whole:]
        parts.append(base64.b64decode(rest + b"=" * (-len(rest) % 4), validate=True))
    except binascii.Error as error:
        raise BodyError(400, f"{what} is not base64: {ended(error)}") from None
    return b"".join(parts)


def _only(found: list[bytes], what: str) -> bytes:
    if len(found) == 1:
        return found[0]
    if not found:
        raise BodyError(400, f"The body is a {what} without a picture.")
    raise BodyError(
        400, f"The body is {what} with {len(found)} pictures; send one in each request."
    )
