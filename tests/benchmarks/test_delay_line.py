from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator

import pytest

from benchmarks.delay_line import DelayLine


class Echo(socketserver.BaseRequestHandler):
    """Send back what comes, and hang up when the other side does."""

    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


@pytest.fixture
def echo() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_everything_arrives_in_order_and_not_before_its_time(echo):
    content = bytes(range(256)) * 4000
    with (
        DelayLine(echo, 0.05) as line,
        socket.create_connection(("127.0.0.1", line.port), timeout=20) as connection,
    ):
        started = time.monotonic()
        sender = threading.Thread(target=connection.sendall, args=(content,))
        sender.start()
        found = connection.recv(1)
        passed = time.monotonic() - started
        while len(found) < len(content):
            part = connection.recv(65536)
            assert part
            found += part
        sender.join()
    assert found == content
    assert passed >= 0.1


def test_nobody_at_the_far_end_is_a_closed_connection():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with (
            DelayLine(unused.getsockname()[1], 0.01) as line,
            socket.create_connection(("127.0.0.1", line.port), timeout=20) as connection,
        ):
            try:
                assert connection.recv(1) == b""
            except ConnectionResetError:
                return
