"""The Prefect server of this project: use a healthy one, else start one, stop only our own."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import httpx

from platforms import Settings, connect
from platforms.errors import SettingsError
from platforms.local.process import ProcessId, alive, spawn_detached, terminate_group
from tasks.files import locked

_SERVER_COMMAND = (
    *(sys.executable, "-m", "prefect", "server", "start"),
    *("--host", "127.0.0.1", "--port"),
)
_DEFAULT_PORT = 4200
_START_SECONDS = 120.0
_STOP_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A Prefect server that we started."""

    api_url: str
    pid: int
    started: float

    @property
    def process(self) -> ProcessId:
        """The server's process."""
        return ProcessId(pid=self.pid, started=self.started)


def use_server(settings: Settings) -> str:
    """Point Prefect, in this process and its children, at a healthy server; return its API URL.

    That is ``PREFECT_API_URL`` when it is set, else the one that we started before, else one that
    answers on Prefect's own port with our version, else a new one on a free port.

    Must run before Prefect is imported: it reads its settings then.

    Raises:
        SettingsError: ``PREFECT_API_URL`` does not answer, or the new server did not start.
    """
    url = os.environ.get("PREFECT_API_URL")
    if url:
        _require_ours(url)
    # Prefect makes its home, but not the folders above it.
    (settings.home / "prefect").mkdir(parents=True, exist_ok=True)
    if not url:
        # Two commands at once must not start two servers: `down` knows one.
        with locked(settings.home / ".server.lock"):
            url = _running(settings) or _foreign() or _start(settings).api_url
    os.environ["PREFECT_API_URL"] = url
    os.environ.setdefault("PREFECT_HOME", str(settings.home / "prefect"))
    os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "INFO")
    return url


def ui_url(api_url: str) -> str:
    """Return the address of the UI that belongs to an API."""
    return api_url.removesuffix("/api")


def is_healthy(api_url: str) -> bool:
    """Say whether a Prefect server of our version answers."""
    return server_version(api_url) == version("prefect")


def server_version(api_url: str) -> str | None:
    """Return the version of the healthy Prefect server at an address, None if there is none."""
    try:
        if httpx.get(f"{api_url}/health", timeout=5).json() is not True:
            return None
        return str(httpx.get(f"{api_url}/admin/version", timeout=5).json())
    # Whatever else listens there may answer anything; the address itself may be nonsense.
    except (httpx.HTTPError, httpx.InvalidURL, ValueError):
        return None


def _require_ours(url: str) -> None:
    found = server_version(url)
    if found is None:
        raise SettingsError(
            f"no Prefect server answers at PREFECT_API_URL={url!r}: start it, or unset the variable"
        )
    if found != version("prefect"):
        raise SettingsError(
            f"the Prefect server at PREFECT_API_URL={url!r} is of version {found}, not of ours "
            f"({version('prefect')}): use one of that version, or unset the variable"
        )


def _state_file(settings: Settings) -> Path:
    return settings.home / "server.json"


def read_server(settings: Settings) -> Server | None:
    """Return the server that we started, if its process still runs."""
    try:
        server = Server(**json.loads(_state_file(settings).read_text("utf-8")))
    except (FileNotFoundError, ValueError, TypeError):  # none, or not written by us
        return None
    return server if alive(server.process) else None


def _running(settings: Settings) -> str | None:
    """Return the address of the server that we started; one that still starts is waited for."""
    server = read_server(settings)
    if server is None:
        return None
    if _becomes_healthy(server):
        return server.api_url
    # Of another version, or stuck: two servers must not share one database.
    terminate_group(server.process, _STOP_SECONDS)
    return None


def _foreign() -> str | None:
    url = f"http://127.0.0.1:{_DEFAULT_PORT}/api"
    return url if is_healthy(url) else None


def _free_port() -> int:
    for port in (_DEFAULT_PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SettingsError("no free port on 127.0.0.1 for the Prefect server")


def _start(settings: Settings) -> Server:
    port = _free_port()
    url = f"http://127.0.0.1:{port}/api"
    home = settings.home / "prefect"
    home.mkdir(parents=True, exist_ok=True)
    print(f"starting a Prefect server at {ui_url(url)} …", file=sys.stderr, flush=True)
    process = spawn_detached(
        [*_SERVER_COMMAND, str(port)],
        env={
            **{k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "AWS_"))},
            "PREFECT_HOME": str(home),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_UI_API_URL": url,
            "PREFECT_API_URL": url,
        },
        log=settings.home / "server.log",
        cwd=settings.home,
    )
    server = Server(api_url=url, pid=process.pid, started=process.started)
    _write_state(settings, server)
    if _becomes_healthy(server):
        return server
    terminate_group(server.process, _STOP_SECONDS)
    raise SettingsError(
        f"the Prefect server did not start at {server.api_url}: see {settings.home / 'server.log'}"
    )


def _write_state(settings: Settings, server: Server) -> None:
    fresh = _state_file(settings).with_suffix(".new")
    fresh.write_text(json.dumps(asdict(server)), "utf-8")
    fresh.replace(_state_file(settings))


def _becomes_healthy(server: Server) -> bool:
    """Wait until the server answers; False when it ends, takes too long, or is not our version."""
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and alive(server.process):
        found = server_version(server.api_url)
        if found is not None:
            return found == version("prefect")
        time.sleep(0.5)
    return False


def up(_: argparse.Namespace) -> int:
    """Start a Prefect server if none answers; print where it is."""
    url = use_server(Settings())
    print(f"Prefect UI:      {ui_url(url)}")
    print(f"PREFECT_API_URL: {url}")
    return 0


def down(_: argparse.Namespace) -> int:
    """Stop our Prefect server, and what the platform runs on this machine."""
    settings = Settings()
    try:
        for name in connect(settings).shut_down():
            print(f"stopped {name}")
    finally:  # also when there is no platform to ask
        _stop_server(settings)
    return 0


def _stop_server(settings: Settings) -> None:
    server = read_server(settings)
    if server is not None:
        terminate_group(server.process, _STOP_SECONDS)
        print(f"stopped the Prefect server at {ui_url(server.api_url)}")
    _state_file(settings).unlink(missing_ok=True)
