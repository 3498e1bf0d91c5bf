"""Request bodies and connections that nobody honest sends to a model server, from a seed."""

from __future__ import annotations

import base64
import gzip
import io
import json
import random
import socket
import struct
import time
import zlib
from collections.abc import Callable
from functools import cache, wraps
from threading import RLock
from typing import ParamSpec

from PIL import Image

Body = tuple[bytes, dict[str, bytes]]
_one_at_a_time = RLock()
P = ParamSpec("P")


def _once(make: Callable[P, bytes]) -> Callable[P, bytes]:
    """Have something large made once, however many threads ask for it at a time."""
    made = cache(make)

    @wraps(make)
    def locked(*arguments: P.args, **named: P.kwargs) -> bytes:
        with _one_at_a_time:
            return made(*arguments, **named)

    return locked


_TYPES = (
    *("image/jpeg", "image/png", "application/x-image", "application/json", "text/csv"),
    *("application/x-npy", "text/plain", "multipart/form-data; boundary=x", "", "no/such", "é"),
    *("application/json; charset=nonsense", "*/*", "image/jpeg" * 500),
)
_ACCEPTS = ("application/json", "text/csv", "*/*", "", "image/png", "q=;;;", "a/b;q=9e999", ",")


@cache
def good_picture() -> bytes:
    """Return a picture as people send it."""
    buffer = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").resize((160, 120)).save(buffer, "JPEG")
    return buffer.getvalue()


def hostile_body(chance: random.Random) -> Body:
    """Return a body and the headers to send with it."""
    body = chance.choice(_MAKERS)(chance)
    if chance.random() < 0.1:
        body = gzip.compress(body)
    if chance.random() < 0.1:
        body = base64.b64encode(body)
    headers = {"Accept": chance.choice(_ACCEPTS)}
    if chance.random() < 0.8:
        headers["Content-Type"] = chance.choice(_TYPES)
    return body, {name: value.encode("latin-1") for name, value in headers.items()}


def hostile_connection(chance: random.Random, address: tuple[str, int]) -> int:
    """Send bytes that are no request, or half of one; return the status, 400 for a closed door."""
    with socket.create_connection(address, timeout=60) as connection:
        try:
            if chance.random() < 0.02:
                _slowly(connection, chance)
            connection.sendall(_request(chance))
            if chance.random() < 0.5:  # leaves in the middle
                return 400
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(200)
        except OSError:  # the server closed it first
            return 400
    if not answer.startswith(b"HTTP/1.1 "):
        assert answer == b"", answer
        return 400
    return int(answer.split()[1])


def _slowly(connection: socket.socket, chance: random.Random) -> None:
    """Begin a request, and take a while over it."""
    connection.sendall(b"POST /invocations HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    if chance.random() < 0.5:
        connection.sendall(b"Content-Length: 1000\r\n\r\n")
    for _ in range(chance.choice((3, 30))):
        connection.sendall(b"X")
        time.sleep(0.1)


def _request(chance: random.Random) -> bytes:
    host = b"Host: 127.0.0.1\r\n"
    start = b"POST /invocations HTTP/1.1\r\n" + host
    picture = good_picture()
    choices = (
        start + b"Content-Length: %d\r\n\r\n" % (len(picture) * 3) + picture,
        start + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        start + b"Content-Length: -1\r\n\r\n",
        start + b"Content-Length: 99999999999999999999\r\n\r\nx",
        start + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        start + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabc",
        start + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nabc",
        start + b"Transfer-Encoding: gzip, chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        start + b"Expect: 100-continue\r\nContent-Length: 999999999\r\n\r\n",
        start + b"X: " + b"a" * 70_000 + b"\r\n\r\n",
        start + b"".join(b"X%d: y\r\n" % n for n in range(2000)) + b"\r\n",
        (start + b"Content-Length: 3\r\n\r\nabc") * 12,
        (start + b"Content-Length: %d\r\n\r\n" % len(picture) + picture) * 5 + b"and more\r\n\r\n",
        start + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" + b"no chunk\r\n",
        b"GET /ping HTTP/1.1\r\n" + host + b"\r\n" + b"GET /ping HTTP/1.1\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\n" + host + b"\r\n",
        b"BREW /pot HTTP/1.1\r\n" + host + b"\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        chance.randbytes(chance.choice((1, 60, 4000))),
    )
    return chance.choice(choices)


def _noise(chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice((0, 1, 3, 100, 5000, 100_000)))


def _damaged(chance: random.Random) -> bytes:
    picture = bytearray(good_picture())
    for _ in range(chance.choice((1, 3, 30))):
        picture[chance.randrange(len(picture))] = chance.randrange(256)
    return bytes(picture)


def _cut(chance: random.Random) -> bytes:
    picture = good_picture()
    return picture[: chance.randrange(len(picture))]


def _large_png(chance: random.Random) -> bytes:
    """Claims billions of pixels; a few rows are there."""
    width, height = chance.choice(
        ((50_000, 50_000), (2**31 - 1, 1), (1, 2**31 - 1), (0, 5), (9000, 9000))
    )
    return _png(width, height, zlib.compress(bytes(1000)))


def _png_bomb(chance: random.Random) -> bytes:
    side = chance.choice((3000, 6000))
    return _png(side, side, _ROWS[side]())


@_once
def _rows(side: int) -> bytes:
    packer = zlib.compressobj(9)
    row = bytes(side * 3 + 1)
    return b"".join([*(packer.compress(row) for _ in range(side)), packer.flush()])


_ROWS: dict[int, Callable[[], bytes]] = {
    side: lambda side=side: _rows(side) for side in (3000, 6000)
}  # type: ignore[misc]


def _png(width: int, height: int, data: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@_once
def _progressive() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((700, 700), 90).convert("RGB").save(buffer, "JPEG", progressive=True)
    return buffer.getvalue()


def _scans(chance: random.Random) -> bytes:
    """A progressive JPEG whose last scan comes again and again."""
    picture = _progressive()
    last = picture.rfind(b"\xff\xda")
    return picture[:-2] + picture[last:-2] * chance.choice((20, 500, 3000)) + b"\xff\xd9"


@_once
def _gzip_bomb(size: int) -> bytes:
    return gzip.compress(bytes(size))


@_once
def large_picture(kind: str, mode: str, width: int, height: int) -> bytes:
    """A picture that is allowed and takes long."""
    picture = Image.radial_gradient("L").resize((width, height)).convert(mode)
    buffer = io.BytesIO()
    picture.save(buffer, kind, **({"compress_level": 1} if kind == "PNG" else {"quality": 40}))
    return buffer.getvalue()


def _allowed(chance: random.Random) -> bytes:
    choices = (
        *(("JPEG", "RGB", 4000, 3000), ("JPEG", "RGB", 9000, 7000), ("JPEG", "CMYK", 4000, 3000)),
        *(("PNG", "RGB", 2500, 2000), ("PNG", "RGBA", 5000, 5000), ("PNG", "P", 4000, 3000)),
    )
    return large_picture(*chance.choice(choices))


@_once
def _packed(start: bytes, repeated: bytes) -> bytes:
    """32 million bytes that take many times as much as objects, in a few thousand."""
    return gzip.compress(start + repeated * (32_000_000 // len(repeated)))


def _many(chance: random.Random) -> bytes:
    texts = (
        *((b"[", b"[],"), (b"[", b"1,"), (b'{"a":[', b'"b",'), (b"data:,", b"%41")),
        *((b"--\nContent-Disposition: form-data\n", b"--\n"), (b"", b"AAAA"), (b"/9j/", b"AAAA")),
    )
    return _packed(*chance.choice(texts))


def _bomb(chance: random.Random) -> bytes:
    return _gzip_bomb(chance.choice((1 << 20, 65 << 20, 200 << 20)))


def _wrapped(chance: random.Random) -> bytes:
    body = good_picture()
    for _ in range(chance.choice((1, 3, 8, 16))):
        body = gzip.compress(body, 1) if chance.random() < 0.5 else base64.b64encode(body)
    return body[: 6 << 20]


def _json(chance: random.Random) -> bytes:
    picture = base64.b64encode(good_picture()).decode()
    deep = chance.choice((5, 900, 100_000))
    choices = (
        "[" * deep + "]" * deep,
        '{"a":' * deep,
        json.dumps({"image": picture}),
        json.dumps({"images": [picture] * 40}),
        json.dumps({"image": "data:image/png;base64,!!!!"}),
        json.dumps({"instances": [[float("nan")] * 20]}),
        "1e999999",
        "9" * 100_000,
        '"\\ud800"',
        "null",
        "",
    )
    return chance.choice(choices).encode()


def _form(chance: random.Random) -> bytes:
    part = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a.jpg"\r\n\r\n'
    return b"".join(
        [part + good_picture() + b"\r\n"] * chance.choice((1, 2, 500)) + [b"--x--\r\n"]
    )[: 6 << 20]


def _npy(chance: random.Random) -> bytes:
    shape = chance.choice(
        ("(3, 8, 8)", "(999999999, 999999999)", "(-1,)", "__import__('os')", "(" * 500)
    )
    kind = chance.choice(("|u1", "|O", "<f8"))
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}"
    text = head.ljust(200).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(192)


def _too_large(chance: random.Random) -> bytes:
    return bytes(chance.choice((6 << 20, (6 << 20) + 1, 9 << 20)))


def _good(chance: random.Random) -> bytes:
    return good_picture()


# The costly ones are rarer, as they would be for somebody with one line to send them over.
_MAKERS = (
    *(_noise, _damaged, _cut, _json, _form, _npy, _wrapped) * 3,
    *(_good, _good, _large_png, _large_png, _png_bomb, _scans, _bomb, _too_large, _allowed, _many),
)
