"""Which Prefect server a command uses, and which one it may stop."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import pytest

import cli.server
from cli.main import main
from cli.server import Server, is_healthy, read_server, use_server
from platforms import Settings
from platforms.errors import SettingsError
from platforms.local.process import alive, identify

ROOT = Path(__file__).resolve().parents[2]
NAMES = (
    *("PREFECT_API_URL", "PREFECT_HOME", "PREFECT_SERVER_ANALYTICS_ENABLED"),
    "PREFECT_LOGGING_LEVEL",
)


@contextmanager
def listening(answers: dict[str, object]) -> Iterator[int]:
    """A server that answers paths with JSON, on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            found = self.path in answers
            body = json.dumps(answers.get(self.path, "nothing here")).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def prefect_of(found: str) -> dict[str, object]:
    return {"/api/health": True, "/api/admin/version": found}


@pytest.fixture(autouse=True)
def environment(monkeypatch) -> None:
    """Let a test, and what it calls, change Prefect's variables: they come back after it."""
    for name in NAMES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def default_port(monkeypatch):
    """Make another port Prefect's own: the real one may be in use here."""
    return lambda port: monkeypatch.setattr(cli.server, "_DEFAULT_PORT", port)


def test_a_server_that_was_asked_for_is_used(monkeypatch, whippet_home):
    with listening(prefect_of(version("prefect"))) as port:
        url = f"http://127.0.0.1:{port}/api"
        monkeypatch.setenv("PREFECT_API_URL", url)
        assert use_server(Settings()) == url
    assert os.environ["PREFECT_HOME"] == str(whippet_home / "prefect")
    assert not (whippet_home / "server.json").exists()


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({}, "no Prefect server answers"),
        ({"/api/health": "yes"}, "no Prefect server answers"),
        (prefect_of("2.20.1"), r"is of version 2\.20\.1, not of ours"),
    ],
)
def test_what_is_no_server_of_ours_is_refused(monkeypatch, tmp_path, answers, message):
    with listening(answers) as port:
        url = f"http://127.0.0.1:{port}/api"
        monkeypatch.setenv("PREFECT_API_URL", url)
        with pytest.raises(SettingsError, match=message) as caught:
            use_server(Settings(home=tmp_path / "home"))
    assert url in str(caught.value)
    assert "unset the variable" in str(caught.value)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/api", "not an address", "http://[::1/api"])
def test_an_address_where_nobody_answers(monkeypatch, tmp_path, url):
    monkeypatch.setenv("PREFECT_API_URL", url)
    with pytest.raises(SettingsError, match="no Prefect server answers"):
        use_server(Settings(home=tmp_path / "home"))


def test_a_foreign_server_on_prefects_port_is_used_and_never_stopped(
    whippet_home, default_port, capsys
):
    with listening(prefect_of(version("prefect"))) as port:
        default_port(port)
        assert main(["up"]) == 0
        assert f"http://127.0.0.1:{port}/api" in capsys.readouterr().out
        assert main(["down"]) == 0
        assert is_healthy(f"http://127.0.0.1:{port}/api")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', "null"])
def test_a_damaged_note_of_our_server_is_no_server(tmp_path, text):
    (tmp_path / "server.json").write_text(text)
    assert read_server(Settings(home=tmp_path)) is None


def test_down_leaves_a_process_alone_that_got_our_servers_pid(whippet_home, capsys):
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        mine = identify(other.pid)
        note = {"api_url": "http://127.0.0.1:9/api", "pid": mine.pid, "started": mine.started - 99}
        (whippet_home / "server.json").write_text(json.dumps(note))
        assert main(["down"]) == 0
        assert other.poll() is None
    finally:
        other.communicate(b"\n", timeout=30)
    assert capsys.readouterr().out == ""
    assert not (whippet_home / "server.json").exists()


UP = """
import sys
import cli.server
from cli.main import main
cli.server._DEFAULT_PORT = int(sys.argv[1])
sys.exit(main(sys.argv[2:]))
"""


@pytest.mark.slow
def test_on_a_busy_port_one_server_of_our_own_is_started_and_stopped(whippet_home, default_port):
    settings = Settings()
    with listening({}) as port:
        default_port(port)
        command = [sys.executable, "-c", UP, str(port)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        both = [subprocess.Popen([*command, "up"], cwd=ROOT, **pipes) for _ in range(2)]
        said = [process.communicate(timeout=200) for process in both]
        try:
            assert [process.returncode for process in both] == [0, 0], said
            server = read_server(settings)
            assert isinstance(server, Server)
            assert is_healthy(server.api_url)
            assert f":{port}/" not in server.api_url
            # Started once, by one of two commands at once.
            assert {re.findall(r"PREFECT_API_URL: (\S+)", out)[0] for out, _ in said} == {
                server.api_url
            }
            assert sum("starting a Prefect server" in err for _, err in said) == 1
            assert use_server(settings) == server.api_url
        finally:
            done = subprocess.run([*command, "down"], cwd=ROOT, check=False, **pipes)
    assert done.returncode == 0, done.stderr
    assert "stopped the Prefect server" in done.stdout
    assert not alive(server.process)
    assert read_server(settings) is None
