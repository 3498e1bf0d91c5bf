"""Clients that cost little: one that waits for each answer, and many at once.

They speak just enough HTTP/1.1 for the servers compared here: keep-alive, Content-Length.
"""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

HOST = "127.0.0.1"
_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


class BrokenAnswer(Exception):
    """Raised when a server closes its connection, or answers in a way not spoken here."""


def request(path: str, picture: bytes, *, as_json: bool = False) -> bytes:
    """Return the bytes of a POST request with a JPEG picture, raw or as ``{"image": base64}``."""
    kind, body = "image/jpeg", picture
    if as_json:
        kind = "application/json"
        body = json.dumps({"image": base64.b64encode(picture).decode()}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: {kind}\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Parser:
    """Puts answers together from what comes of them."""

    def __init__(self) -> None:
        self._come = b""

    def feed(self, data: bytes) -> tuple[int, bytes] | None:
        """Take in bytes; return status and body once an answer is whole."""
        self._come += data
        head, end, rest = self._come.partition(_END)
        if not end:
            return None
        lines = head.lower().split(b"\r\n")
        length = next((line for line in lines if line.startswith(_LENGTH)), None)
        if length is None:
            raise BrokenAnswer(head.decode(errors="replace"))
        size = int(length.removeprefix(_LENGTH))
        if len(rest) < size:
            return None
        self._come = b""
        return int(lines[0].split()[1]), rest[:size]


def answer(connection: socket.socket, sent: bytes) -> tuple[int, bytes]:
    """Send a request and return status and body of its answer."""
    connection.sendall(sent)
    parser = Parser()
    while data := connection.recv(65_536):
        whole = parser.feed(data)
        if whole is not None:
            return whole
    raise BrokenAnswer("the connection was closed")


def lone(port: int, requests: Sequence[bytes]) -> list[float]:
    """Ask one request after the other on one connection; return the seconds of each."""
    seconds = []
    with socket.create_connection((HOST, port), timeout=120) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for sent in requests:
            begun = time.perf_counter()
            status, body = answer(connection, sent)
            seconds.append(time.perf_counter() - begun)
            if status != 200:
                raise BrokenAnswer(f"{status}: {body[:300].decode(errors='replace')}")
    return seconds


@dataclass(slots=True, kw_only=True)
class Tally:
    """What many clients got.

    Attributes:
        answered: requests that got an answer of 200.
        refused: 429 and 503 answers, after which the client waited as it was told and asked again.
        lost: requests without an answer.
        wrong: answers of 200 that are not the expected ones.
    """

    answered: int = 0
    refused: int = 0
    lost: int = 0
    wrong: int = 0
    others: Counter[int] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.answered / self.seconds


class Client:
    """One of many: a connection of its own, opened again when it is lost."""

    def __init__(self, port: int, tally: Tally) -> None:
        self._port, self._tally = port, tally
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, sent: bytes) -> bytes | None:
        """Return the body of the answer of 200, however often it takes; None without one."""
        try:
            while True:
                status, body = await self._answer(sent)
                if status not in (429, 503):
                    break
                self._tally.refused += 1
                await asyncio.sleep(1.0)  # as Retry-After says
        except (OSError, BrokenAnswer):
            self._tally.lost += 1
            self.close()
            return None
        if status != 200:
            self._tally.others[status] += 1
            return None
        self._tally.answered += 1
        return body

    async def _answer(self, sent: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self._port)
        reader, writer = self._streams
        writer.write(sent)
        parser = Parser()
        while data := await reader.read(65_536):
            whole = parser.feed(data)
            if whole is not None:
                return whole
        raise BrokenAnswer("the connection was closed")

    def close(self) -> None:
        """Leave."""
        if self._streams is not None:
            self._streams[1].close()
        self._streams = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Clients that ask one request after the other: so many in all, or for so long.

    ``right`` is asked with the index of the request and the body of its answer; ``progress`` is
    told, after each answer, how many there have been.
    """

    clients: int
    total: int | None = None
    seconds: float = float("inf")
    right: Callable[[int, bytes], bool] | None = None
    progress: Callable[[int], None] = lambda answered: None

    def ask(self, port: int, requests: Sequence[bytes]) -> Tally:
        """Send the requests, over and over; return what came of it."""
        return asyncio.run(self._all(port, requests))

    async def _all(self, port: int, requests: Sequence[bytes]) -> Tally:
        tally, begun = Tally(), time.perf_counter()
        turns = self._turns(begun + self.seconds, len(requests))

        async def one() -> None:
            client = Client(port, tally)
            for index in turns:
                body = await client.ask(requests[index])
                if body is not None and self.right is not None:
                    tally.wrong += not self.right(index, body)
                if body is not None:
                    self.progress(tally.answered)
            client.close()

        await asyncio.gather(*(one() for _ in range(self.clients)))
        tally.seconds = time.perf_counter() - begun
        return tally

    def _turns(self, until: float, requests: int) -> Iterator[int]:
        for number in count():
            if number == self.total or time.perf_counter() >= until:
                return
            yield number % requests
