"""Kill -9 worker and engine of a real run, bring a worker back, and wait until it works again.

    python -m benchmarks.recovery [--rounds N] [--machine]

All of it in a home of its own, with a server of its own, as ``whippet up`` makes it; nothing but
the schedule of `recover-runs` brings the run on. With ``--machine`` every process of the home is
killed, Prefect server, job supervisors and model servers included, and the records tell another
boot: as after a restart of the machine. A worker comes back by ``whippet up``, at once, as a
service manager calls it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import psutil

from cli.chaos.world import working_in
from platforms import Settings
from platforms.settings import PROJECT_ROOT

_DEPLOYMENT = "release-model/local"
_PATIENCE = 900.0
# Seconds on a quiet machine, of weights that a package brings.
_PARAMETERS = {"model": {"architecture": "mobilenet_v2", "image_size": 64}}
Found = TypeVar("Found")
_ANOTHER_BOOT = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, kw_only=True)
class Home:
    """A home, and what is done in it."""

    folder: Path

    @property
    def settings(self) -> Settings:
        """The settings of everything here."""
        return Settings(home=self.folder, platform="local")

    def whippet(self, *argv: str) -> None:
        """Run a command to its good end."""
        command = [sys.executable, "-m", "cli.main", *argv]
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
        environment = {**kept, "WHIPPET_HOME": str(self.folder), "WHIPPET_CHROMIUM": "none"}
        subprocess.run(
            command, cwd=PROJECT_ROOT, env=environment, check=True, stdout=subprocess.DEVNULL
        )

    def processes(self) -> list[psutil.Process]:
        """Return all processes that work in this home."""
        return [process for process, _ in working_in(self.folder)]


def main() -> int:
    """Measure, and print a line a round."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--machine", action="store_true", help="kill all of it, as a restart does")
    asked = parser.parse_args()
    home = Home(folder=Path(tempfile.mkdtemp(prefix="whippet-recovery-")).resolve())
    os.environ["WHIPPET_HOME"], os.environ["WHIPPET_PLATFORM"] = str(home.folder), "local"
    try:
        home.whippet("up")
        for _ in range(asked.rounds):
            _round(home, machine=asked.machine)
    finally:
        with suppress(subprocess.CalledProcessError):
            home.whippet("down")
        for process in home.processes():
            with suppress(psutil.Error):
                process.kill()
        shutil.rmtree(home.folder, ignore_errors=True)
    return 0


def _round(home: Home, *, machine: bool) -> None:
    from tasks.runs.ownership import owner

    flow_run = _start(home)
    name = _wait(lambda: _with_a_job(home, flow_run), "its first job")
    engine = _wait(lambda: owner(home.settings, name), "the run's process")
    killed = time.time()
    _kill(home, engine, machine=machine)
    home.whippet("up")
    print(f"a worker is online again after {time.time() - killed:.0f} s", flush=True)
    _wait(lambda: _other(owner(home.settings, name), engine), "the run at work again")
    print(f"the run is at work again after {time.time() - killed:.0f} s", flush=True)
    states = _wait(lambda: _ended(flow_run), "the run's end")
    for state in states:
        print(f"  {state.timestamp.timestamp() - killed:7.0f} s  {state.name}")
    print(f"jobs: {json.dumps(_jobs(home))}", flush=True)


def _start(home: Home) -> UUID:
    from cli.server.choosing import use_server

    use_server(home.settings)
    # Prefect reads its settings when it is imported.
    from prefect import get_client

    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(_DEPLOYMENT)
        made = client.create_flow_run_from_deployment(
            deployment.id, name="measured", parameters=_PARAMETERS
        )
        return made.id


def _with_a_job(home: Home, flow_run: UUID) -> str | None:
    from tasks.runs.record import find_run, read_run

    run = find_run(home.settings, str(flow_run))
    if run is None:
        return None
    found = read_run(home.settings, run.name)
    if found.status == "failed":
        raise SystemExit(f"the run failed: {found.error}")
    return run.name if found.jobs else None


def _kill(home: Home, engine: int, *, machine: bool) -> None:
    from cli.operation.worker import read_worker

    worker = read_worker(home.settings)
    assert worker is not None, "no worker runs"
    for pid in [worker.pid, engine] if not machine else [each.pid for each in home.processes()]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if machine:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        for path in home.folder.rglob("*.json"):
            with suppress(OSError, UnicodeDecodeError):
                text = path.read_text("utf-8")
                if boot in text:
                    path.write_text(text.replace(boot, _ANOTHER_BOOT), "utf-8")


def _other(process: int | None, than: int) -> int | None:
    return process if process != than else None


def _ended(flow_run: UUID) -> list[Any] | None:
    from prefect import get_client

    with get_client(sync_client=True) as client:
        state = client.read_flow_run(flow_run).state
        if state is None or state.name not in ("Completed", "Failed", "Cancelled"):
            return None
        return sorted(client.read_flow_run_states(flow_run), key=lambda each: each.timestamp)


def _jobs(home: Home) -> dict[str, str]:
    from platforms import connect

    found = connect(home.settings).sagemaker.list_training_jobs(MaxResults=100)
    return {
        job["TrainingJobName"]: job["TrainingJobStatus"] for job in found["TrainingJobSummaries"]
    }


def _wait(look: Callable[[], Found | None], what: str) -> Found:
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if (found := look()) is not None:
            return found
        time.sleep(0.5)
    raise SystemExit(f"{datetime.now(UTC):%H:%M:%S}: waited {_PATIENCE:.0f} s for {what}")


if __name__ == "__main__":
    sys.exit(main())
