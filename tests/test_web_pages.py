"""No server of ours answers a web page: each one, and every way in which a browser could ask."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from cli.server.door import OwnPagesOnly
from cli.ui.server import application
from platforms import Settings
from platforms.local.api.server import LocalApi
from platforms.local.context import local_context
from sm_entrypoints.serving.door import guarded
from sm_entrypoints.serving.intake import Limits
from sm_entrypoints.serving.invocations import ModelService
from tests.sources import SOURCES, relative

App = Callable[..., Any]
PORT = 4567
HERE = ("host", f"127.0.0.1:{PORT}")
EVIL = ("origin", "https://evil.example")


async def _inside(request: object) -> PlainTextResponse:
    return PlainTextResponse("inside")


def _prefect(home: Path) -> App:
    return OwnPagesOnly(Starlette(routes=[Route("/", _inside)]), [f"http://127.0.0.1:{PORT}"])


def _api(home: Path) -> App:
    return LocalApi(local_context(Settings(home=home))).application()


def _pages(home: Path) -> App:
    return application(Settings(home=home), PORT)


def _model(home: Path) -> App:
    return guarded(ModelService(Limits()), "127.0.0.1")


# By the module that starts it.
SERVERS = {
    "cli/server/program.py": (_prefect, "/"),
    "platforms/local/api/server.py": (_api, "/ping"),
    "cli/ui/server.py": (_pages, "/"),
    "sm_entrypoints/serve.py": (_model, "/ping"),
}
# Names that lead here, and are not ours; pages of others; what a parser may misread.
FOREIGN = [
    [("host", "evil.example")],
    [("host", f"evil.example:{PORT}")],
    [("host", "127.0.0.1.evil.example")],
    [("host", f"127.0.0.1:{PORT}@evil.example")],
    [("host", "evil.example#127.0.0.1")],
    [("host", "localhost.")],
    [("host", "localhost.evil.example")],
    [("host", "0.0.0.0")],
    [("host", "127.1")],
    [("host", "2130706433")],
    [("host", "0x7f000001")],
    [("host", "[::ffff:127.0.0.1]")],
    [("host", "169.254.169.254")],
    [("host", "host.docker.internal")],
    [("host", "127.0.0.1:port")],
    [("host", "127.0.0.1\u00b2")],
    [("host", "")],
    [],
    [HERE, ("host", "evil.example")],
    [("host", "evil.example"), HERE],
    [HERE, EVIL],
    [HERE, ("origin", "null")],
    [HERE, ("origin", "")],
    [HERE, ("origin", "http://127.0.0.1:8888")],
    [HERE, ("origin", f"https://127.0.0.1:{PORT}")],
    [HERE, ("origin", f"http://127.0.0.1:{PORT}.evil.example")],
    [HERE, ("origin", "file://")],
    [HERE, ("origin", "chrome-extension://abc")],
    [HERE, ("origin", f"http://127.0.0.1:{PORT}"), EVIL],
]
OURS = [[HERE], [("host", f"localhost:{PORT}")], [("host", "LOCALHOST")], [("host", "[::1]:1")]]


def status(app: App, method: str, path: str, headers: list[tuple[str, str]]) -> int:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers]
    scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode()}
    scope |= {"headers": raw, "query_string": b"", "root_path": "", "scheme": "http"}
    scope |= {"http_version": "1.1", "server": ("127.0.0.1", PORT), "client": ("127.0.0.1", 9)}
    seen: list[int] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            seen.append(message["status"])

    asyncio.run(app(scope, receive, send))
    return seen[0]


@pytest.mark.parametrize("server", SERVERS)
def test_foreign_names_and_pages_are_refused(tmp_path: Path, server: str) -> None:
    make, path = SERVERS[server]
    app = make(tmp_path)
    for headers in FOREIGN:
        for method in ("GET", "POST", "OPTIONS", "DELETE"):
            found = status(app, method, path, headers)
            assert found == 403, (method, headers)


@pytest.mark.parametrize("server", SERVERS)
def test_programs_come_in(tmp_path: Path, server: str) -> None:
    make, path = SERVERS[server]
    app = make(tmp_path)
    for headers in OURS:
        assert status(app, "GET", path, headers) in (200, 503)  # 503: no model yet


def test_every_server_of_ours_is_in_the_table() -> None:
    starts = re.compile(r"uvicorn\.Server\(|HTTPServer\(|asyncio\.start_server\(")
    found = {relative(path) for path in SOURCES if starts.search(path.read_text("utf-8"))}
    assert found == set(SERVERS)


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "10.0.0.2", "model"])
def test_a_server_in_a_container_is_called_by_other_names(address: str) -> None:
    app = guarded(ModelService(Limits()), address)
    assert status(app, "GET", "/ping", [("host", "model.aws.local"), EVIL]) == 503


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "localhost", "127.0.0.2"])
def test_a_server_of_this_machine_is_guarded(address: str) -> None:
    app = guarded(ModelService(Limits()), address)
    assert status(app, "GET", "/ping", [("host", "model.aws.local")]) == 403
