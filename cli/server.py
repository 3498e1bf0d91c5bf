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
    if url and not is_healthy(url):
        raise SettingsError(
            f"no Prefect server answers at PREFECT_API_URL={url!r}: start it, or unset the variable"
        )
    # Prefect makes its home, but not the folders above it.
    (settings.home / "prefect").mkdir(parents=True, exist_ok=True)
    url = url or _running(settings) or _foreign() or _start(settings).api_url
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
    try:
        healthy = httpx.get(f"{api_url}/health", timeout=5).json() is True
        theirs = httpx.get(f"{api_url}/admin/version", timeout=5).json()
    except (httpx.HTTPError, ValueError):
        return False
    return healthy and theirs == version("prefect")


def _state_file(settings: Settings) -> Path:
    return settings.home / "server.json"


def read_server(settings: Settings) -> Server | None:
    """Return the server that we started, if its process still runs."""
    path = _state_file(settings)
    if not path.exists():
        return None
    server = Server(**json.loads(path.read_text("utf-8")))
    return server if alive(server.process) else None


def _running(settings: Settings) -> str | None:
    server = read_server(settings)
    return server.api_url if server and is_healthy(server.api_url) else None


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
    _await_health(settings, server)
    return server


def _write_state(settings: Settings, server: Server) -> None:
    fresh = _state_file(settings).with_suffix(".new")
    fresh.write_text(json.dumps(asdict(server)), "utf-8")
    fresh.replace(_state_file(settings))


def _await_health(settings: Settings, server: Server) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and alive(server.process):
        if is_healthy(server.api_url):
            return
        time.sleep(0.5)
    terminate_group(server.process, _STOP_SECONDS)
    raise SettingsError(
        f"the Prefect server did not start at {server.api_url}: see {settings.home / 'server.log'}"
    )


def up(_: argparse.Namespace) -> int:
    """Start a Prefect server if none answers; print where it is."""
    url = use_server(Settings())
    print(f"Prefect UI:      {ui_url(url)}")
    print(f"PREFECT_API_URL: {url}")
    return 0


def down(_: argparse.Namespace) -> int:
    """Stop our Prefect server, and what the platform runs on this machine."""
    settings = Settings()
    for name in connect(settings).shut_down():
        print(f"stopped {name}")
    server = read_server(settings)
    if server is not None:
        terminate_group(server.process, _STOP_SECONDS)
        print(f"stopped the Prefect server at {ui_url(server.api_url)}")
    _state_file(settings).unlink(missing_ok=True)
    return 0
