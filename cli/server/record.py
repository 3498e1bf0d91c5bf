"""Which server runs: what it recorded about itself when it began to listen."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from platforms import Settings
from platforms.files import write_atomically
from platforms.processes.process import ProcessId, alive


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A Prefect server of ours. While its process lives, the port is its own."""

    api_url: str
    pid: int
    started: float
    boot: str = ""

    @property
    def process(self) -> ProcessId:
        """The server's process."""
        return ProcessId(pid=self.pid, started=self.started, boot=self.boot)


def record_file(settings: Settings) -> Path:
    """Return where the server's record lies."""
    return settings.home / "server.json"


def read_server(settings: Settings) -> Server | None:
    """Return the server that we started, if its process still runs."""
    try:
        server = Server(**json.loads(record_file(settings).read_text("utf-8")))
    except (FileNotFoundError, ValueError, TypeError):  # none, or not written by us
        return None
    return server if alive(server.process) else None


def write_server(settings: Settings, server: Server) -> None:
    """Write the server's record."""
    write_atomically(record_file(settings), json.dumps(asdict(server)).encode())
