"""Clients that send slowly, half, too much, or leave: the others are served all the same."""

from __future__ import annotations

import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from sm_entrypoints.serving.connections import BoundedConnection
from sm_entrypoints.serving.context import Context
from sm_entrypoints.serving.handlers import load_program
from sm_entrypoints.serving.intake import Limits
from sm_entrypoints.serving.invocations import ModelService
from tests.worlds.waiting import wait_for

pytestmark = pytest.mark.slow  # most of it waits for a server's patience

# Echoes; "slow" waits for a file to appear, and notes what it was asked.
PROGRAM = """
import pathlib, time
HERE = pathlib.Path(__file__).parent
def model_fn(model_dir): return 1
def transform_fn(model, data, content_type, accept):
    with (HERE / "asked").open("ab") as log: log.write(bytes(data)[:20] + b"\\n")
    while bytes(data).startswith(b"slow") and not (HERE / "go").exists(): time.sleep(0.01)
    return bytes(data)
"""
HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"


class Served:
    """A model server on a thread of this process."""

    def __init__(self, folder: Path, connection: type[BoundedConnection], **limits: Any) -> None:
        # A module of a name is loaded once in a process: each server has its own.
        name = f"program_{uuid.uuid4().hex}.py"
        (folder / name).write_text(PROGRAM)
        self.folder = folder
        service = ModelService(Limits(**limits))
        program = load_program(folder, name, Context(system_properties={}))
        service.begin(program, program.load(folder))
        self.service = service
        config = uvicorn.Config(service, http=connection, lifespan="off", log_level="error")
        self.server = uvicorn.Server(config)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = self.listener.getsockname()
        self.thread = threading.Thread(
            target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True
        )
        self.thread.start()

    def post(self, body: bytes, client: Any = httpx, **more: Any) -> httpx.Response:
        url = f"http://127.0.0.1:{self.address[1]}/invocations"
        answer: httpx.Response = client.post(url, content=body, timeout=20, **more)
        return answer

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=20)

    def asked(self) -> list[str]:
        log = self.folder / "asked"
        return log.read_text().split() if log.exists() else []


def _until_closed(client: socket.socket) -> bytes:
    seen = b""
    while more := client.recv(65_536):
        seen += more
    return seen


@contextmanager
def served(
    folder: Path, *, head_seconds: float = 10, most: int = 512, **limits: Any
) -> Iterator[Served]:
    class Connection(BoundedConnection):
        pass

    Connection.head_seconds, Connection.most = head_seconds, most
    server = Served(folder, Connection, **limits)
    try:
        yield server
    finally:
        (folder / "go").touch()
        server.server.should_exit = True
        server.thread.join(20)


def test_answers_are_sent_at_once_whatever_the_listener(tmp_path: Path) -> None:
    """With Nagle's algorithm, a body waits 40 ms for the acknowledgement of its head."""
    seen = []

    class Connection(BoundedConnection):
        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            seen.append(transport.get_extra_info("socket"))

    server = Served(tmp_path, Connection)
    with httpx.Client(trust_env=False) as client:
        assert server.post(b"whole", client).content == b"whole"
        assert server.listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 0
        assert [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in seen] == [1]
    server.server.should_exit = True
    server.thread.join(20)


def test_half_sent_bodies_take_nobodys_place_and_are_given_up(tmp_path: Path) -> None:
    with served(tmp_path, workers=1, queue=2, patience_seconds=1) as server, ExitStack() as stack:
        half = [stack.enter_context(server.connect()) for _ in range(40)]
        for each in half:
            each.sendall(HEAD % 1000 + b"the beginning")
        assert server.post(b"whole").content == b"whole"
        for each in half:
            answer = _until_closed(each)
            assert answer.startswith(b"HTTP/1.1 408 "), answer
            assert b"Only 13 bytes of the request body came within 1 seconds" in answer
        assert server.asked() == ["whole"]


def test_a_steady_body_is_taken_however_long_it_takes(tmp_path: Path) -> None:
    with served(tmp_path, patience_seconds=1, least_bytes_per_second=10) as server:

        def steady() -> Iterator[bytes]:
            for _ in range(8):
                yield b"twenty bytes at once"
                time.sleep(0.2)

        assert len(server.post(steady()).content) == 160  # type: ignore[arg-type]


def test_heads_that_do_not_come_are_given_up(tmp_path: Path) -> None:
    with served(tmp_path, head_seconds=0.5) as server, ExitStack() as stack:
        half = [stack.enter_context(server.connect()) for _ in range(10)]
        for each in half:
            each.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nX-")
        assert server.post(b"whole").content == b"whole"
        began = time.monotonic()
        while time.monotonic() - began < 0.4:  # a byte now and then does not help
            with suppress(OSError):
                half[0].sendall(b"a")
            time.sleep(0.05)
        answers = [_until_closed(each) for each in half[1:]]
        assert all(answer.startswith(b"HTTP/1.1 408 ") for answer in answers), answers


def test_a_second_head_that_does_not_come_is_given_up(tmp_path: Path) -> None:
    with served(tmp_path, head_seconds=0.5) as server, server.connect() as client:
        client.sendall(HEAD % 1 + b"a")
        client.settimeout(5)
        seen = b""
        while not seen.endswith(b"\r\n\r\na"):
            seen += client.recv(4096)
        assert seen.startswith(b"HTTP/1.1 200 ")
        client.sendall(b"POST /inv")
        assert _until_closed(client) == b""


def test_silent_connections_make_room_for_new_ones(tmp_path: Path) -> None:
    with served(tmp_path, most=8) as server, ExitStack() as stack:
        silent = [stack.enter_context(server.connect()) for _ in range(30)]
        for each in silent:
            with suppress(OSError):  # it had to make room already
                each.sendall(HEAD % 9 + b"half")
        assert server.post(b"whole").content == b"whole"
        assert len(server.server.server_state.connections) <= 8


def test_who_waits_for_an_answer_is_the_last_to_make_room(tmp_path: Path) -> None:
    with (
        ThreadPoolExecutor(1) as clients,
        served(tmp_path, most=8) as server,
        ExitStack() as stack,
    ):
        slow = clients.submit(server.post, b"slow")
        wait_for(server.asked, "the slow call")
        for _ in range(30):
            with suppress(OSError):  # it had to make room already
                stack.enter_context(server.connect()).sendall(HEAD % 9 + b"half")
        (tmp_path / "go").touch()
        assert slow.result(20).content == b"slow"


def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    with served(tmp_path) as server, server.connect() as client:
        bodies = [b"body-%03d" % number for number in range(200)]
        client.sendall(b"".join(HEAD % len(body) + body for body in bodies))
        seen = b""
        while seen.count(b"body-") < 200:
            more = client.recv(65_536)
            assert more, seen[-300:]
            seen += more
        places = [seen.index(body) for body in bodies]
        assert places == sorted(places)


def test_what_waits_for_a_client_that_left_is_not_computed(tmp_path: Path) -> None:
    with served(tmp_path, workers=1, queue=10) as server:
        with ThreadPoolExecutor(1) as clients:
            first = clients.submit(server.post, b"slow")
            wait_for(server.asked, "the slow call")
            gone = [server.connect() for _ in range(10)]
            for each in gone:
                each.sendall(HEAD % 4 + b"gone")
            wait_for(lambda: server.post(b"x").status_code == 429, "a full queue")
            for each in gone:
                each.close()
            # Their places are free while the first call still runs.
            wait_for(lambda: server.service._busy == 1, "free places")
            (tmp_path / "go").touch()
            assert first.result().content == b"slow"
        assert server.post(b"next").content == b"next"
        assert "gone" not in server.asked()


def test_what_has_its_504_is_not_computed(tmp_path: Path) -> None:
    with served(tmp_path, workers=1, queue=10, timeout_seconds=0.5) as server:
        with ThreadPoolExecutor(5) as clients:
            first = clients.submit(server.post, b"slow")
            wait_for(server.asked, "the slow call")
            others = [clients.submit(server.post, b"late") for _ in range(4)]
            assert [each.result().status_code for each in (first, *others)] == [504] * 5
        # The places of those that got it are free while the first call still runs.
        wait_for(lambda: server.service._busy == 1, "free places")
        (tmp_path / "go").touch()
        wait_for(lambda: server.service._busy == 0, "the end of the slow call")
        assert server.post(b"next").content == b"next"
        assert server.asked() == ["slow", "next"]


@pytest.mark.slow
def test_large_bodies_share_one_allowance_of_memory(tmp_path: Path) -> None:
    limits = {"workers": 1, "queue": 1, "body_bytes": 1_000_000, "patience_seconds": 20}
    with served(tmp_path, **limits) as server, ExitStack() as stack:
        hogs = [stack.enter_context(server.connect()) for _ in range(3)]
        for each in hogs[:2]:
            each.sendall(HEAD % 1_000_000 + bytes(999_000))
        wait_for(lambda: server.service._intake._held == 1_998_000, "two large bodies")
        assert server.post(bytes(500_000)).status_code == 429
        assert server.post(b"small").content == b"small"
        # After a fifth of the patience, in place of the oldest.
        wait_for(lambda: server.post(bytes(500_000)).status_code == 200, "room for it")
        assert hogs[0].recv(4096).startswith(b"HTTP/1.1 408 ")
        hogs[1].close()
        wait_for(lambda: server.service._intake._held == 0, "forgotten bodies")


@pytest.mark.slow
def test_200_clients_at_once_get_their_own_answer_or_a_429(tmp_path: Path) -> None:
    with (
        served(tmp_path) as server,
        httpx.Client(limits=httpx.Limits(max_connections=200)) as client,
    ):

        def ask(number: int) -> tuple[int, bytes, bytes]:
            body = b"%d" % number
            answer = server.post(body, client)
            return answer.status_code, answer.content, body

        with ThreadPoolExecutor(200) as clients:
            answers = list(clients.map(ask, range(300)))
        assert all(content == body for status, content, body in answers if status == 200)
        assert {status for status, _, _ in answers} <= {200, 429}
        assert sum(status == 200 for status, _, _ in answers) >= 100
        assert server.service._busy == server.service._intake._held == 0
    assert all("error" in json.loads(content) for status, content, _ in answers if status == 429)


@pytest.mark.parametrize(
    "sent",
    [
        b"\x00" * 70_000,
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000,
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_and_closed(tmp_path: Path, sent: bytes) -> None:
    with served(tmp_path, head_seconds=0.5, patience_seconds=0.5) as server:
        with server.connect() as client:
            client.sendall(sent)
            answer = client.recv(4096)
            assert answer.startswith(b"HTTP/1.1 4"), answer
        assert server.post(b"whole").content == b"whole"


@pytest.mark.parametrize("earlier", [b"", HEAD % 1 + b"a"])
def test_a_body_that_turns_out_to_be_none_is_refused_once(
    tmp_path: Path, earlier: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """The answer of whoever had begun with it came after the refusal: a traceback in the log."""
    begin = (
        b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    )
    with served(tmp_path) as server:
        for _ in range(20):
            with server.connect() as client:
                client.sendall(earlier + begin + b"no chunk\r\n")
                answer = _until_closed(client)
            assert answer.count(b"HTTP/1.1 400 ") == 1, answer
            assert answer.count(b"HTTP/1.1") == (2 if earlier else 1)
            assert json.loads(answer.split(b"\r\n\r\n")[-1].removeprefix(b"a"))["error"]
        assert server.post(b"whole").content == b"whole"
    assert "Traceback" not in capfd.readouterr().err
