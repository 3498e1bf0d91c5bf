"""`whippet ui` over HTTP: a real server on a free port, and a home with runs."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn

from cli.main import main
from cli.ui.pages import MOST_BYTES
from cli.ui.server import HOST, application, serve_pages
from platforms import Settings
from platforms.errors import SettingsError
from tests.worlds.asked_endpoints import Runtime, endpoints_over, picture
from tests.worlds.browsed_runs import FIRST, SECOND, make_runs
from tests.worlds.local.served import in_a_thread


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    found = Settings(home=tmp_path_factory.mktemp("hôme"))
    make_runs(found)
    return found


@pytest.fixture(scope="module")
def http(settings: Settings) -> Iterator[httpx.Client]:
    app = application(settings, 1, endpoints=endpoints_over(Runtime()))
    config = uvicorn.Config(app, lifespan="off", log_level="warning")
    with (
        in_a_thread(uvicorn.Server(config)) as url,
        httpx.Client(base_url=url, trust_env=False) as client,
    ):
        yield client


def test_from_the_list_to_a_report(http: httpx.Client) -> None:
    listing = http.get("/", params={"q": "dogs"})
    assert listing.status_code == 200
    assert "1 of 4 runs" in listing.text
    assert listing.headers["content-security-policy"].startswith("default-src 'none'")
    run = http.get("/runs/pets%201")
    assert "73.5%" in run.text
    report = http.get("/runs/pets%201/report")
    assert "<title>report" in report.text
    assert report.headers["x-frame-options"] == "DENY"
    record = http.get("/runs/pets%201/files/run.json").json()
    assert record["name"] == FIRST


def test_two_runs_side_by_side(http: httpx.Client) -> None:
    page = http.get("/compare", params=[("run", FIRST), ("run", SECOND)])
    assert page.status_code == 200
    assert "saw different pictures" in page.text
    for runs, status in ([FIRST], 400), ([], 400), ([FIRST] * 2, 400), ([FIRST, "x"], 404):
        found = http.get("/compare", params=[("run", run) for run in runs])
        assert found.status_code == status, found.text


@pytest.mark.slow
def test_a_dropped_picture_is_answered(http: httpx.Client) -> None:
    assert 'data-endpoint="' in http.get("/try").text
    assert "not in service" in http.get("/try", params={"endpoint": "foreign"}).text
    answer = http.post("/endpoints/new/answer", content=picture())
    assert answer.status_code == 200
    assert "75.0%" in answer.text
    refused = http.post("/endpoints/new/answer", content=b"not a picture")
    assert refused.status_code == 422
    assert "not a JPEG or PNG" in refused.text
    large = http.post("/endpoints/new/answer", content=bytes(MOST_BYTES + 1))
    assert (large.status_code, "larger than 64 MiB" in large.text) == (422, True)
    assert http.get("/endpoints/new/answer").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/runs/nothing",
        "/runs/latest",
        "/runs/..%2F..%2Fetc",
        "/runs/pets%201/files/report.pdf",
        "/runs/pets%201/files/..%2Frun.json",
        "/runs/pets%201/files/.lock",
        "/runs/third/report",
        "/runs/nothing/files/run.json",
        "/page.js",
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 404
    assert "there is no" in answer.text or "has no file" in answer.text
    assert "Traceback" not in answer.text


def test_a_run_that_cannot_be_read_is_a_sentence(http: httpx.Client) -> None:
    answer = http.get("/runs/broken")
    assert answer.status_code == 422
    assert "cannot be read" in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:2"},
    ],
)
def test_other_hosts_and_origins_are_refused(http: httpx.Client, headers: dict[str, str]) -> None:
    assert http.get("/", headers=headers).status_code == 403
    posted = http.post("/endpoints/new/answer", content=picture(), headers=headers)
    assert posted.status_code == 403


@pytest.mark.parametrize("origin", ["http://127.0.0.1:4190", "http://localhost:4190"])
def test_its_own_page_may_ask(settings: Settings, origin: str) -> None:
    app = application(settings, 4190, endpoints=endpoints_over(Runtime()))

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=origin) as client:
            return await client.get("/", headers={"Origin": origin})

    assert asyncio.run(ask()).status_code == 200


def test_a_port_that_is_taken_or_none(settings: Settings) -> None:
    def nobody(url: str) -> Any:
        raise AssertionError(url)

    with (
        socket.create_server((HOST, 0)) as listener,
        pytest.raises(SettingsError, match="choose another --port"),
    ):
        serve_pages(settings, listener.getsockname()[1], nobody)
    with pytest.raises(SettingsError, match="--port 70000 is out of range"):
        serve_pages(settings, 70_000, nobody)


def test_the_command_refuses_a_wrong_port(whippet_home: Any, capsys: Any) -> None:
    assert main(["ui", "--port", "-1"]) == 1
    assert "--port -1 is out of range" in capsys.readouterr().err
