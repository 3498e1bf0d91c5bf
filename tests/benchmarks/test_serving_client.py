"""The clients of `make bench-serve` count what they get: refused, lost, wrong."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.serving.client import BrokenAnswer, Crowd, Parser, lone, request


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    refused = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"hang up":
            self.close_connection = True
            return
        status = 200
        if body == b"busy" and not _Handler.refused:
            _Handler.refused, status = 1, 429
        elif body == b"bad":
            status = 400
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    _Handler.refused = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def test_an_answer_is_put_together_from_its_parts():
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
    parser = Parser()
    assert [parser.feed(whole[at : at + 1]) for at in range(len(whole))][-1] == (200, b"hello")
    with pytest.raises(BrokenAnswer, match="chunked"):
        Parser().feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello")


def test_a_lone_client_times_each_request(port):
    seconds = lone(port, [request("/x", b"a"), request("/x", b"b")])
    assert len(seconds) == 2
    assert all(0 < each < 10 for each in seconds)
    with pytest.raises(BrokenAnswer, match="400: bad"):
        lone(port, [request("/x", b"bad")])


@pytest.mark.slow
def test_a_crowd_counts_what_it_gets(port):
    sent = [request("/x", body) for body in (b"fine", b"hang up", b"busy", b"bad", b"other")]
    crowd = Crowd(clients=3, total=10, right=lambda index, body: body != b"other")
    tally = crowd.ask(port, sent)
    # Each of the five twice: one was refused once and asked again.
    assert (tally.answered, tally.lost, tally.refused, tally.wrong) == (6, 2, 1, 2)
    assert dict(tally.others) == {400: 2}
    assert tally.rate == pytest.approx(6 / tally.seconds)
