"""Requests to this machine go to no proxy, and are known by their names."""

from __future__ import annotations

import os
import shlex
import socket
from urllib.request import getproxies, proxy_bypass

import httpx
import pytest

from platforms.loopback import (
    HOST,
    curl_options,
    is_loopback,
    listen,
    spare_loopback,
)
from sm_entrypoints.contract.hosts import names_this_machine
from tests.sources import SOURCES, relative

NAMES = [f"{scheme}_proxy" for scheme in ("http", "https", "all", "no")]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch) -> None:
    for name in [*NAMES, *(name.upper() for name in NAMES)]:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "127.0.0.1:80", "localhost:1", "[::1]:4200", "[::1]"]
)
def test_names_of_this_machine(name):
    assert names_this_machine(name)


OTHERS = (
    *("", ":80", "::1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.2", "localhost.", "a.localhost"),
    *("evil.example", "127.0.0.1.evil.example", "127.0.0.1\n", "127.0.0.1, evil.example"),
    "127.0.0.1:\u0661",  # a digit, though no one of ASCII
)


@pytest.mark.parametrize("name", OTHERS)
def test_names_of_others(name):
    assert not names_this_machine(name)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:4200/api", "http://LOCALHOST", "http://[::1]:1/"]
)
def test_addresses_of_this_machine(url):
    assert is_loopback(url)


@pytest.mark.parametrize("url", ["http://192.168.0.1", "https://localhost.example", "http://[::1/"])
def test_addresses_of_others(url):
    assert not is_loopback(url)


def test_without_a_proxy_nothing_is_changed():
    before = dict(os.environ)
    spare_loopback()
    assert dict(os.environ) == before


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "https_proxy"])
@pytest.mark.parametrize("said", [{}, {"NO_PROXY": "corp.example"}, {"no_proxy": "corp.example"}])
def test_no_proxy_is_asked_for_this_machine(monkeypatch, name, said):
    monkeypatch.setenv(name, "http://proxy.example:3128")
    for spared, value in said.items():
        monkeypatch.setenv(spared, value)
    spare_loopback()
    spare_loopback()  # once more changes nothing
    assert os.environ["no_proxy"] == os.environ["NO_PROXY"]
    assert os.environ["no_proxy"].split(",").count("localhost") == 1
    assert all(proxy_bypass(host) for host in ("127.0.0.1", "localhost", "127.0.0.1:4200"))
    with httpx.Client() as client:
        for url in ("http://127.0.0.1:4200/api", "http://localhost:1/", "http://[::1]:1/"):
            assert client._transport_for_url(httpx.URL(url)) is client._transport
        if said:
            assert client._transport_for_url(httpx.URL("http://corp.example")) is client._transport
        if "https" not in name:
            other = client._transport_for_url(httpx.URL("http://example.com"))
            assert other is not client._transport
    assert [url for scheme, url in getproxies().items() if scheme != "no"]


def test_a_star_stays_alone(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "*")
    spare_loopback()
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == "*"


def test_a_printed_curl_asks_no_proxy_either(monkeypatch):
    assert curl_options() == ""
    monkeypatch.setenv("no_proxy", "corp.example")
    assert curl_options() == ""
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    assert shlex.split(curl_options()) == ["--noproxy", "*"]


def test_connections_of_a_listener_send_at_once():
    with (
        listen(0, backlog=8) as listener,
        socket.create_connection(listener.getsockname()),
        listener.accept()[0] as accepted,
    ):
        assert listener.getsockname()[0] == HOST
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


def test_no_server_listens_in_another_way():
    """A socket of ``create_server`` costs each answer 40 ms: see ``listen``."""
    found = {
        relative(path)
        for path in SOURCES
        if "socket.create_server(" in path.read_text(encoding="utf-8")
    }
    # The model server, which knows no platforms, sets it on each connection.
    assert found == {"platforms/loopback.py", "sm_entrypoints/serve.py"}
