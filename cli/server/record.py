"""Which server runs: what it recorded about itself when it began to listen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from platforms import Settings
from platforms.processes.recorded import Recorded, read_recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Server(Recorded):
    """A Prefect server of ours. While its process lives, the port is its own."""

    api_url: str


def record_file(settings: Settings) -> Path:
    """Return where the server's record lies."""
    return settings.home / "server.json"


def read_server(settings: Settings) -> Server | None:
    """Return the server that we started, if its process still runs."""
    return read_recorded(record_file(settings), Server)


def write_server(settings: Settings, server: Server) -> None:
    """Write the server's record."""
    server.write(record_file(settings))
