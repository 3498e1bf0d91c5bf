"""Which Prefect server a command uses, and which one it may stop."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import pytest

import cli.server.choosing
from cli.main import main
from cli.server.choosing import server_environment, ui_and_password, use_server
from cli.server.health import look
from cli.server.login import login_file, prefect_home, read_login, shell_file, write_shell_file
from cli.server.notes import ui_url
from cli.server.record import Server, read_server, write_server
from platforms import Settings
from platforms.errors import SettingsError
from platforms.processes.process import ProcessId, alive, identify

ROOT = Path(__file__).resolve().parents[3]
NAMES = (
    *("PREFECT_API_URL", "PREFECT_HOME", "PREFECT_SERVER_ANALYTICS_ENABLED"),
    *("PREFECT_LOGGING_LEVEL", "PREFECT_API_AUTH_STRING"),
    *("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"),
    *("NO_PROXY", "no_proxy"),
)


@contextmanager
def listening(answers: dict[str, object], login: str | None = None) -> Iterator[int]:
    """A server that answers paths with JSON, on a free port; with a login, only its health."""
    wanted = f"Basic {base64.b64encode((login or '').encode()).decode()}"

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_GET(self) -> None:
            found = self.path in answers
            open_to_all = login is None or self.path.endswith("/health")
            if not open_to_all and self.headers["Authorization"] != wanted:
                self.send_response(401)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = json.dumps(answers.get(self.path, "nothing here")).encode()
            self.send_response(200 if found else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
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
    return lambda port: monkeypatch.setattr(cli.server.choosing, "_DEFAULT_PORT", port)


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
        (prefect_of("2.20.1"), r"has version 2\.20\.1, not ours"),
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


@pytest.mark.parametrize("given", [None, "whippet:wrong", "no colon"])
def test_a_server_that_asks_for_another_login_is_an_error_before_any_work(
    monkeypatch, tmp_path, given
):
    with listening(prefect_of(version("prefect")), login="somebody:else") as port:
        url = f"http://127.0.0.1:{port}/api"
        monkeypatch.setenv("PREFECT_API_URL", url)
        if given is not None:
            monkeypatch.setenv("PREFECT_API_AUTH_STRING", given)
        with pytest.raises(SettingsError, match="set PREFECT_API_AUTH_STRING to its user:password"):
            use_server(Settings(home=tmp_path / "home"))
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("login", ["somebody:else", "pass with: colons and é", "no colon"])
def test_a_server_that_takes_the_login_is_used(monkeypatch, whippet_home, login):
    with listening(prefect_of(version("prefect")), login=login) as port:
        url = f"http://127.0.0.1:{port}/api"
        monkeypatch.setenv("PREFECT_API_URL", url)
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", login)
        assert use_server(Settings()) == url
        assert ui_and_password(Settings(), url) == f"http://127.0.0.1:{port}"
    assert os.environ["PREFECT_API_AUTH_STRING"] == login
    assert not login_file(Settings()).exists()


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_is_never_asked_for_this_machine(monkeypatch, whippet_home, name):
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    with listening(prefect_of(version("prefect"))) as port:
        assert look(f"http://127.0.0.1:{port}/api").usable
        assert look(f"http://localhost:{port}/api/").usable


@pytest.fixture
def ours(whippet_home) -> Iterator[Callable[[int], None]]:
    """Write down that a process of its own, which can be ended, is our server on a port."""
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True
    )
    mine = identify(child.pid)

    def write(port: int) -> None:
        url = f"http://127.0.0.1:{port}/api"
        write_server(Settings(), Server.of(mine, api_url=url))

    try:
        yield write
    finally:
        child.communicate(b"\n", timeout=30)


def test_our_own_server_gets_our_login(monkeypatch, ours):
    settings = Settings()
    prefect_home(settings).mkdir()
    login_file(settings).write_text("whippet:secret\n")
    with listening(prefect_of(version("prefect")), login="whippet:secret") as port:
        ours(port)
        url = f"http://127.0.0.1:{port}/api"
        # Of another server, still in this shell.
        monkeypatch.setenv("PREFECT_API_AUTH_STRING", "somebody:else")
        monkeypatch.setenv("PREFECT_API_URL", f"http://localhost:{port}/api")
        assert use_server(settings) == url
        assert os.environ["PREFECT_API_AUTH_STRING"] == "whippet:secret"
        assert ui_and_password(settings, url).endswith(f"(password: cat '{quoted(settings)}')")


def found_when_started(monkeypatch, settings: Settings) -> Server:
    """Have the server that is recorded be what a start gives; until then there is none."""
    server = read_server(settings)
    assert server is not None
    (settings.home / "server.json").unlink()
    monkeypatch.setattr(cli.server.choosing, "spawn_detached", lambda *_, **__: server)
    monkeypatch.setattr(cli.server.choosing, "_announced", lambda *_: server)
    return server


def test_what_takes_long_is_done_while_our_server_starts(monkeypatch, ours):
    settings, seen = Settings(), []
    prefect_home(settings).mkdir()
    login_file(settings).write_text("whippet:secret\n")

    def meanwhile() -> None:
        names = ("PREFECT_API_URL", "PREFECT_API_AUTH_STRING", "PREFECT_HOME")
        seen.append([os.environ[name] for name in names])
        raise ImportError("will be said where it is imported")

    with listening(prefect_of(version("prefect")), login="whippet:secret") as port:
        ours(port)
        server = found_when_started(monkeypatch, settings)
        assert use_server(settings, meanwhile) == server.api_url
        # One that runs already has nobody wait.
        ours(port)
        assert use_server(settings, meanwhile) == server.api_url
    assert seen == [[server.api_url, "whippet:secret", str(prefect_home(settings))]]


def test_a_server_that_ends_says_why(monkeypatch, whippet_home):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    process = identify(ended.pid)
    ended.communicate(timeout=30)

    def spawn(*_: object, log: Path, **__: object) -> ProcessId:
        lines = ["Traceback (most recent call last):", "ValueError: an earlier start", "  File x"]
        reason = 'asyncpg.exceptions.InvalidPasswordError: password failed for user "whippet"'
        log.write_text("\n".join([*lines, reason, "", "ERROR:    Application startup failed."]))
        return process

    monkeypatch.setattr(cli.server.choosing, "spawn_detached", spawn)
    said = r'did not start: InvalidPasswordError: password failed for user "whippet"; see .*\.log$'
    with pytest.raises(SettingsError, match=said):
        use_server(Settings())


@pytest.mark.parametrize(
    "name", ["PREFECT_SERVER_DATABASE_CONNECTION_URL", "PREFECT_API_DATABASE_CONNECTION_URL"]
)
@pytest.mark.parametrize("kept", [True, False])
def test_a_database_that_the_shell_names_is_not_ignored_in_silence(
    monkeypatch, ours, capsys, name, kept
):
    settings, url = Settings(), "postgresql+asyncpg://me:secret@db.example/prefect"
    prefect_home(settings).mkdir()
    login_file(settings).write_text("whippet:secret\n")
    monkeypatch.setenv(name, url)
    if kept:
        profile = f'[profiles.x]\nPREFECT_SERVER_DATABASE_CONNECTION_URL = "{url}"\n'
        (prefect_home(settings) / "profiles.toml").write_text(profile)
    with listening(prefect_of(version("prefect")), login="whippet:secret") as port:
        ours(port)
        found_when_started(monkeypatch, settings)
        use_server(settings)
    said = capsys.readouterr().err
    assert "secret" not in said
    assert (f"ignores {name} of this shell" in said) is not kept
    assert (f'config set PREFECT_SERVER_DATABASE_CONNECTION_URL="${name}"' in said) is not kept


def quoted(settings: Settings) -> str:
    return str(login_file(settings)).replace("'", "'\"'\"'")


@pytest.mark.parametrize(
    ("answers", "login", "said"),
    [
        (prefect_of(version("prefect")), None, "asks for no password"),
        (prefect_of("2.20.1"), "whippet:secret", "has version 2.20.1"),
        (prefect_of(version("prefect")), "whippet:other", "rejects the password"),
    ],
)
def test_a_server_of_ours_that_is_no_good_is_replaced(
    ours, monkeypatch, capsys, answers, login, said
):
    settings = Settings()
    prefect_home(settings).mkdir()
    login_file(settings).write_text("whippet:secret\n")
    started = []

    def start(settings: Settings, meanwhile: Callable[[], object]) -> str:
        started.append(read_server(settings))
        return "http://127.0.0.1:9/api"

    monkeypatch.setattr(cli.server.choosing, "_start", start)
    with listening(answers, login=login) as port:
        ours(port)
        # As the README of older versions said.
        monkeypatch.setenv("PREFECT_API_URL", f"http://127.0.0.1:{port}/api")
        assert use_server(settings) == "http://127.0.0.1:9/api"
    assert started == [None]  # it was ended before
    said_of_it = capsys.readouterr().err
    assert said in said_of_it
    assert "restart its workers too" in said_of_it
    assert "server.env" in said_of_it


def test_the_address_of_our_last_server_means_ours_unless_another_one_has_it(
    monkeypatch, whippet_home
):
    settings = Settings()
    prefect_home(settings).mkdir()
    monkeypatch.setattr(cli.server.choosing, "_own_server", lambda *_: ("ours", "login"))
    with listening(prefect_of(version("prefect"))) as port:
        url = f"http://127.0.0.1:{port}/api"
        monkeypatch.setenv("PREFECT_API_URL", url)
        write_shell_file(settings, url, "whippet:secret")
        assert use_server(settings) == url
        assert "PREFECT_API_AUTH_STRING" not in os.environ
    assert use_server(settings) == "ours"
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:9/api")
    with pytest.raises(SettingsError, match="no Prefect server answers"):
        use_server(settings)


def test_a_server_gets_nothing_that_it_does_not_need():
    given = {
        **{name: "a secret" for name in ("GITHUB_TOKEN", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY")},
        **{name: "a secret" for name in ("DB_PASSWORD", "MY_SECRET", "WHATEVER", "HTTPS_PROXY")},
        **{name: "a secret" for name in ("PREFECT_API_KEY", "PREFECT_SERVER_API_AUTH_STRING")},
        "PYTHONPATH": "/somebody/else",
        "HOME": "/home/me",
        "PATH": "/usr/bin",
    }
    found = server_environment(given)
    assert found == {
        "HOME": "/home/me",
        "PATH": "/usr/bin",
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
    }


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
import cli.server.choosing
from cli.main import main
cli.server.choosing._DEFAULT_PORT = int(sys.argv[1])
sys.exit(main(sys.argv[2:]))
"""
TOKENS = {"GITHUB_TOKEN": "a-token-of-mine", "HF_TOKEN": "a-token-of-mine"}
DEAD = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9"}


@pytest.mark.slow
def test_beside_another_server_one_of_our_own_is_started_and_stopped(whippet_home, default_port):
    settings = Settings()
    with listening(prefect_of(version("prefect"))) as port:
        default_port(port)
        command = [sys.executable, "-c", UP, str(port)]
        environment = {**os.environ, **TOKENS, **DEAD, "ALL_PROXY": "http://127.0.0.1:9"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        asked = {"cwd": ROOT, "env": environment, **pipes}
        both = [subprocess.Popen([*command, "up", "--server-only"], **asked) for _ in range(2)]
        said = [process.communicate(timeout=200) for process in both]
        try:
            assert [process.returncode for process in both] == [0, 0], said
            server = read_server(settings)
            assert isinstance(server, Server)
            url = server.api_url
            assert f":{port}/" not in url
            # Started once, by one of two commands at once, which say how to use the other one.
            assert {re.findall(r"PREFECT_API_URL: (\S+)", out)[0] for out, _ in said} == {url}
            assert sum("starting a Prefect server" in err for _, err in said) == 1
            assert sum(f"PREFECT_API_URL=http://127.0.0.1:{port}/api" in e for _, e in said) == 1
            check_login(settings, url, "".join(text for each in said for text in each))
            assert "a-token-of-mine" not in Path(f"/proc/{server.pid}/environ").read_text()
            assert use_server(settings) == url
        finally:
            done = subprocess.run([*command, "down"], cwd=ROOT, check=False, **pipes)
    assert done.returncode == 0, done.stderr
    assert "stopped the Prefect server" in done.stdout
    assert not alive(server)
    assert read_server(settings) is None


def check_login(settings: Settings, url: str, said: str) -> None:
    """Check that the login works, that nothing works without it, and that it is told to no one."""
    login = read_login(settings)
    assert login is not None
    assert look(url).refused
    assert look(url, login + "x").refused
    assert look(url, login).usable
    assert login.partition(":")[2] not in said
    # What `up` prints is what shows it, and what a shell needs.
    shown = re.findall(r"^password: +(.*)$", said, re.M)[0]
    assert subprocess.check_output(shown, shell=True, text=True).strip() == login
    sourced = re.findall(r"^for a shell: +(.*)$", said, re.M)[0]
    variables = f"{sourced} && echo $PREFECT_API_URL $PREFECT_API_AUTH_STRING"
    assert subprocess.check_output(variables, shell=True, text=True).split() == [url, login]
    for path in (login_file(settings), shell_file(settings)):
        assert path.stat().st_mode & 0o777 == 0o600
    assert prefect_home(settings).stat().st_mode & 0o777 == 0o700
    process = Path(f"/proc/{read_server(settings).pid}")
    assert login not in (process / "cmdline").read_text()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://someone:pass@host:4200/api", "http://host:4200"),
        ("https://someone:p@ss@host/api/", "https://host"),
        ("http://[::1]:4200/api", "http://[::1]:4200"),
        ("http://host/a@b/api", "http://host/a@b"),
        ("not an address", "not an address"),
    ],
)
def test_a_login_in_an_address_is_not_shown(url, shown):
    assert ui_url(url) == shown


def test_a_login_in_an_address_is_in_no_error(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_API_URL", "http://someone:canary@127.0.0.1:9/api")
    with pytest.raises(SettingsError, match=r"PREFECT_API_URL='http://127.0.0.1:9/api'") as raised:
        use_server(Settings(home=tmp_path))
    assert "canary" not in str(raised.value)
