"""This machine's own addresses: their names, listening there, and no proxies before them."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies

from platforms.errors import SettingsError
from sm_entrypoints.contract.sentences import clause

NAMES = ("127.0.0.1", "localhost", "::1")
HOST = "127.0.0.1"
_LAST_PORT = 65_535
_BACKLOG = 128


def listen(port: int, *, backlog: int) -> socket.socket:
    """Return a socket that listens on a port of 127.0.0.1; 0 takes any free one.

    Its connections send what they are given at once. asyncio sees to that only for sockets of an
    explicit protocol, and those of ``socket.create_server`` have none: every answer that is written
    in two parts, as uvicorn writes all that have a body, would then wait for the client's delayed
    acknowledgement, 40 ms.

    Raises:
        OSError: the port is taken or not allowed.
    """
    listener = socket.create_server((HOST, port), backlog=backlog)
    # Accepted connections inherit it.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def listen_as_asked(port: int, *, what: str) -> socket.socket:
    """Return a socket that listens on the port of an option ``--port``; ``what`` is to be served.

    Raises:
        SettingsError: the port is out of range, taken or not allowed.
    """
    if not 0 <= port <= _LAST_PORT:
        raise SettingsError(f"--port {port} is out of range: use 1 to {_LAST_PORT}, or 0 for any")
    try:
        return listen(port, backlog=_BACKLOG)
    except OSError as error:
        raise SettingsError(
            f"{what} cannot listen on {HOST}:{port}: {clause(error)}; choose another --port"
        ) from error


def is_loopback(url: str) -> bool:
    """Say whether an address leads to this machine; False for an invalid address."""
    try:
        return urlsplit(url).hostname in NAMES
    except ValueError:
        return False


def spare_loopback() -> None:
    """Keep requests to this machine from the proxies that the environment names, if any.

    A proxy is another machine: what it calls 127.0.0.1 is itself. Programs read one or the other
    spelling of ``NO_PROXY``, most of them the lower one first, so both are set. This changes the
    environment of this process and of the children that get it.
    """
    proxies = _proxies()
    if not proxies:
        return
    # Those of macOS's own settings are forgotten as soon as NO_PROXY is set: say them, too.
    for scheme, url in proxies.items():
        if not os.environ.get(f"{scheme.upper()}_PROXY"):
            os.environ.setdefault(f"{scheme}_proxy", url)
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = spared_names()


def curl_options() -> str:
    """Return what a ``curl`` of this machine needs here: nothing, unless there is a proxy."""
    return "--noproxy '*' " if _proxies() else ""


def _proxies() -> dict[str, str]:
    return {scheme: url for scheme, url in getproxies().items() if scheme != "no"}


def spared_names(environment: Mapping[str, str] | None = None) -> str:
    """Return what ``NO_PROXY`` should be: what the environment says, and this machine."""
    variables = os.environ if environment is None else environment
    text = variables.get("no_proxy") or variables.get("NO_PROXY") or ""
    names = [name.strip() for name in text.split(",")]
    if "*" in names:  # everything, but only when it stands alone
        return "*"
    return ",".join(dict.fromkeys(name for name in (*names, *NAMES) if name))
