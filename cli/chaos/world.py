"""The processes of a chaos run: a home, a Prefect server and a worker of its own, and who lives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from cli.chaos.kills import ChaosError
from platforms import Settings
from platforms.processes.process import ProcessId, alive
from platforms.settings import PROJECT_ROOT
from sm_entrypoints.contract.kill_points import VARIABLE

POOL, DEPLOYMENT = "whippet", "release-model/local"
_PREFECT = str(Path(sys.executable).with_name("prefect"))
_RECOVER = (
    "from flows.recover_runs import recover_runs; "
    "from tasks.parameters.upkeep import RecoverParameters as R; "
    "recover_runs(R(silent_seconds=60, settled_seconds=8))"
)


@dataclass(slots=True, kw_only=True)
class World:
    """What runs in ``folder``: its home, logs and notes of moments.

    Attributes:
        worker: the running worker, if there is one.
    """

    folder: Path
    worker: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Path:
        """``WHIPPET_HOME`` of everything here."""
        return self.folder / "home"

    @property
    def settings(self) -> Settings:
        """The settings of everything here."""
        return Settings(home=self.home, platform="local")

    @property
    def moments(self) -> Path:
        """Where the processes of the harmed run note their moments, and find their orders."""
        return self.folder / "moments"

    def environment(self, moments: Path | None = None) -> dict[str, str]:
        """Return all of the environment of a process here; one with ``moments`` notes its own."""
        kept = {k: v for k, v in os.environ.items() if k != VARIABLE}
        noted = {} if moments is None else {VARIABLE: str(moments)}
        return {
            **kept,
            "WHIPPET_HOME": str(self.home),
            "WHIPPET_PLATFORM": "local",
            "WHIPPET_CHROMIUM": "none",  # No PDF: it takes seconds and shows nothing here.
            "PYTHONUNBUFFERED": "1",
            **noted,
        }

    def start(self, *argv: str, moments: Path | None = None) -> subprocess.Popen[bytes]:
        """Start a `whippet` command; what it prints goes to a file of its name."""
        command = [sys.executable, "-m", "cli.main", *argv]
        return self._start(command, argv[0], self.environment(moments))

    def start_recovery(self) -> subprocess.Popen[bytes]:
        """Start what the deployment `recover-runs` does every two minutes."""
        return self._start([sys.executable, "-c", _RECOVER], "recover-runs", self.environment())

    def start_worker(self) -> None:
        """Start a worker; its runs note their moments."""
        environment = {**self.environment(self.moments), "PREFECT_WORKER_QUERY_SECONDS": "1"}
        command = [_PREFECT, "worker", "start", "--pool", POOL]
        self.worker = self._start(command, "worker", environment)

    def deploy(self) -> None:
        """Make the work pool and the deployment of whole runs, as in prefect.yaml.

        Raises:
            ChaosError: Prefect did not do it; says where its words are.
        """
        command = [_PREFECT, "work-pool", "create", POOL, "--type", "process"]
        if self._start(command, "deploy", self.environment()).wait() != 0:
            raise ChaosError(f"there is no work pool for the run: see {self.log_of('deploy')}")
        # Prefect reads its settings when it is imported. Its own command deploys all or asks.
        from prefect import get_client

        flow, name = DEPLOYMENT.split("/")
        signs = {"WHIPPET_PLATFORM": "local", "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
        with get_client(sync_client=True) as client:
            client.create_deployment(
                flow_id=client.create_flow_from_name(flow),
                name=name,
                entrypoint="flows.release_model.release_model",
                work_pool_name=POOL,
                job_variables={"env": signs},
                tags=["whippet", "local"],
                pull_steps=[],
            )

    def log_of(self, name: str) -> Path:
        """Return where the words of a process are kept."""
        return self.folder / f"{name}.log"

    def end_worker(self) -> None:
        """End the worker and what it runs."""
        if self.worker is not None and self.worker.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.worker.pid, signal.SIGKILL)
            self.worker.wait()

    def left(self) -> list[str]:
        """Return the command lines of processes that still work in this home."""
        return [line[:120] for _, line in working_in(self.home)]

    def _start(
        self, command: list[str], name: str, environment: Mapping[str, str]
    ) -> subprocess.Popen[bytes]:
        with self.log_of(name).open("ab") as log:
            return subprocess.Popen(
                command,
                cwd=PROJECT_ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )


def working_in(home: Path) -> Iterator[tuple[psutil.Process, str]]:
    """Yield all processes that work in a home but this one, with their command lines."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            words = process.cmdline()
            named = [*words, process.environ().get("WHIPPET_HOME", "")]
            if process.pid != os.getpid() and any(str(home) in word for word in named):
                yield process, " ".join(words)


def server_of(world: World) -> ProcessId | None:
    """Return the process of the Prefect server, if it lives."""
    from cli.server.record import read_server

    return read_server(world.settings)


def model_server_of(world: World) -> ProcessId | None:
    """Return the process of a model server that answers, if one does."""
    return next(filter(alive, _records(world, "endpoints", "Server", "Process")), None)


def job_supervisor_of(world: World) -> ProcessId | None:
    """Return the supervisor of a training job that runs, if one does."""
    return next(filter(alive, _records(world, "training-jobs", "Supervisor")), None)


def _records(world: World, kind: str, *members: str) -> Iterator[ProcessId]:
    """Yield the processes that records name; read as files, so that nothing is settled by it."""
    import json

    for path in (world.home / kind).glob("[!.]*/record.json"):
        with suppress(OSError, ValueError):
            value = json.loads(path.read_text(encoding="utf-8"))["Local"]
            for member in members:
                value = (value or {}).get(member)
            if value:
                yield ProcessId.from_record(value)
