"""The project's worker: a detached process that starts the runs of deployments on this machine."""

from __future__ import annotations

import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from platforms import Settings
from platforms.errors import SettingsError
from platforms.locks import held
from platforms.processes.process import alive, spawn_detached, terminate_group
from platforms.processes.recorded import Recorded, read_recorded

POOL = "whippet"
_ONLINE_SECONDS, _POLL_SECONDS = 180.0, 0.5
_END_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker(Recorded):
    """A worker of ours, and the server that it asks for runs."""

    name: str
    api_url: str


def worker_file(settings: Settings) -> Path:
    """Return where the worker's record lies."""
    return settings.home / "worker.json"


def worker_log(settings: Settings) -> Path:
    """Return where the worker, and the runs that it starts, write."""
    return settings.home / "worker.log"


def read_worker(settings: Settings) -> Worker | None:
    """Return the worker that we started, if its process still runs."""
    return read_recorded(worker_file(settings), Worker)


def ensure_worker(settings: Settings, api_url: str, is_online: Callable[[str], bool]) -> Worker:
    """Return our worker of this server; start it unless it runs, and wait until it is online.

    One that asks another server is stopped first. ``is_online`` says of a worker's name whether the
    server knows it as online.

    Raises:
        SettingsError: it ended at once, or the server does not see it; names its log.
    """
    with held(settings.home / ".worker.lock", make_folder=True):
        worker = read_worker(settings)
        if worker is not None and worker.api_url != api_url:
            stop_worker(settings)
            worker = None
        worker = worker or _start(settings, api_url)
    end = time.monotonic() + _ONLINE_SECONDS
    while time.monotonic() < end and alive(worker):
        if is_online(worker.name):
            return worker
        time.sleep(_POLL_SECONDS)
    raise SettingsError(
        f"worker {worker.name!r} did not come online: see {worker_log(settings)}, and try again "
        "with `whippet down` and `whippet up`"
    )


def _start(settings: Settings, api_url: str) -> Worker:
    name = f"whippet-{platform.node() or 'here'}-{os.urandom(2).hex()}"
    argv = [sys.executable, "-P", "-m", "prefect", "worker", "start", "--pool", POOL]
    process = spawn_detached(
        [*argv, "--name", name],
        # Its runs inherit this: the settings of this shell, and where the project's state is.
        env={**os.environ, "WHIPPET_HOME": str(settings.home.absolute()), "COLUMNS": "120"},
        log=worker_log(settings),
        cwd=settings.home,
    )
    worker = Worker.of(process, name=name, api_url=api_url)
    worker.write(worker_file(settings))
    return worker


def stop_worker(settings: Settings) -> list[str]:
    """Stop our worker and the runs that it started; return what was stopped, in words.

    The runs end as crashed: `recover-runs` lets them go on when there is a worker again.
    """
    worker, stopped = read_worker(settings), []
    engines = list(_engines(settings))  # the worker may end some of them as it ends
    if worker is not None:
        with suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGTERM)  # it must not start the next one meanwhile
    for flow_run, process in [*engines, *_engines(settings)]:
        _end(process)
        stopped.append(f"flow run {flow_run}, which was in progress")
    if worker is not None:
        terminate_group(worker, _END_SECONDS)
        stopped.append(f"worker {worker.name}")
    worker_file(settings).unlink(missing_ok=True)
    return list(dict.fromkeys(stopped))


def _engines(settings: Settings) -> Iterator[tuple[str, psutil.Process]]:
    """Yield the processes of deployments' runs that work in this home, with the run's id."""
    home = str(settings.home.absolute())
    for process in psutil.process_iter():
        try:
            known, words = process.environ(), process.cmdline()
        except psutil.Error:  # it ended, or is somebody else's
            continue
        flow_run = known.get("PREFECT__FLOW_RUN_ID")
        is_engine = "prefect" in " ".join(words)
        if flow_run and known.get("WHIPPET_HOME") == home and is_engine:
            yield flow_run, process


def _end(process: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except psutil.TimeoutExpired:
            process.kill()
