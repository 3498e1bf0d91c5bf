"""The servers that are compared, as processes: started, ready, measured from outside, stopped."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.search.processes import JOB, ROOT
from benchmarks.serving.client import HOST, BrokenAnswer, lone

HERE = Path(__file__).parent
BENCH = ROOT / ".venv-bench/bin"
SERVE = ROOT / "sm_entrypoints/serve.py"
_READY_SECONDS = 120
# What the platform sets for jobs and model servers.
PLATFORMS = {"OMP_WAIT_POLICY": "PASSIVE"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A server: its name, where it takes pictures, and the program that runs it."""

    name: str
    path: str
    program: str
    takes_json: bool = False

    def why_not(self) -> str | None:
        """Say why it cannot run here; None if it can."""
        if self.program == "serve":
            return None
        if not (BENCH / "python").exists():
            return "there is no .venv-bench: make .venv-bench/.ready"
        if self.program == "torchserve":
            if shutil.which("java") is None:
                return "there is no Java"
            if not (BENCH / "torchserve").exists():
                return "it is not installed in .venv-bench"
        return None


OURS = Kind(name="ours", path="/invocations", program="serve")
FASTAPI = Kind(name="FastAPI", path="/predict", program="fastapi")
LITSERVE = Kind(name="LitServe", path="/predict", program="litserve", takes_json=True)
TORCHSERVE = Kind(name="TorchServe", path="/predictions/model", program="torchserve")
PEERS = (FASTAPI, LITSERVE, TORCHSERVE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that runs: its port, its first process, and when that was started."""

    kind: Kind
    port: int
    process: subprocess.Popen[bytes]
    started: float

    def processes(self) -> list[psutil.Process]:
        """Return the process and all below it."""
        first = psutil.Process(self.process.pid)
        return [first, *first.children(recursive=True)]

    def cpu(self) -> float:
        """Return the seconds of processors that it has used so far."""
        used = 0.0
        for each in self.processes():
            with suppress(psutil.NoSuchProcess):
                times = each.cpu_times()
                used += times.user + times.system
        return used

    def signal(self, number: int) -> None:
        """Send a signal to each of its processes."""
        for each in self.processes():
            with suppress(psutil.NoSuchProcess):
                each.send_signal(number)

    def megabytes(self) -> float:
        """Return its resident memory; pages that processes share count in each of them."""
        return sum(each.memory_info().rss for each in self.processes()) / 1e6


@contextmanager
def running(kind: Kind, model: Path, scratch: Path, sent: bytes) -> Iterator[Running]:
    """Run a server until the block ends; it has answered ``sent`` when the block begins."""
    with start(kind, model, scratch) as server:
        wait_until_it_answers(server, sent)
        yield server


@contextmanager
def start(kind: Kind, model: Path, scratch: Path) -> Iterator[Running]:
    """Start a server, and stop it when the block ends."""
    port = _free_port()
    command, variables = _command(kind, model, scratch, port)
    log = (scratch / f"{kind.name}-{port}.log").open("wb")
    begun = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=scratch,
        env={**_environment(), **variables},
        stdout=log,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    server = Running(kind=kind, port=port, process=process, started=begun)
    try:
        yield server
    finally:
        log.close()
        _end(server)


def wait_until_it_answers(server: Running, sent: bytes) -> float:
    """Return the seconds from its start to its first answer of 200.

    Raises:
        SystemExit: it ended, or does not answer.
    """
    while time.perf_counter() - server.started < _READY_SECONDS:
        if server.process.poll() is not None:
            raise SystemExit(f"{server.kind.name} ended: see its log")
        with suppress(OSError, BrokenAnswer):
            lone(server.port, [sent])
            return time.perf_counter() - server.started
        time.sleep(0.02)
    raise SystemExit(f"{server.kind.name} does not answer")


def _command(
    kind: Kind, model: Path, scratch: Path, port: int
) -> tuple[Sequence[str | Path], Mapping[str, str]]:
    if kind.program == "serve":
        variables = {
            "SM_MODEL_DIR": str(model),
            "SAGEMAKER_BIND_TO_PORT": str(port),
            "PYTHONPATH": str(model / "code"),
            # The others are started as their users do it.
            **PLATFORMS,
        }
        return [JOB, SERVE], variables
    variables = {"JOB_PACKAGES": str(job_packages())}
    if kind.program != "torchserve":
        return [BENCH / "python", HERE / f"peer_{kind.program}.py", model, str(port)], variables
    store = _torchserve_store(model, scratch)
    settings = scratch / f"torchserve-{port}.properties"
    places = {"inference": port, "management": _free_port(), "metrics": _free_port()}
    lines = [f"{name}_address=http://{HOST}:{each}" for name, each in places.items()]
    lines += ["default_workers_per_model=1", "disable_token_authorization=true"]
    settings.write_text("\n".join([*lines, ""]), encoding="utf-8")
    options = ["--foreground", "--ncs", "--disable-token-auth", "--ts-config", settings]
    options += ["--model-store", store, "--models", "model=model.mar"]
    # Its workers are started with this path, and find torch there.
    path = {"PATH": f"{BENCH}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(job_packages())}
    return [BENCH / "torchserve", "--start", *options], {**variables, **path}


def _torchserve_store(model: Path, scratch: Path) -> Path:
    store = scratch / "store"
    if not (store / "model.mar").exists():
        store.mkdir(exist_ok=True)
        files = [model / "model.json", model / "model.safetensors", HERE / "_network.py"]
        command = [BENCH / "torch-model-archiver", "--model-name", "model", "--version", "1"]
        command += ["--handler", HERE / "peer_torchserve.py", "--export-path", store]
        command += ["--extra-files", ",".join(str(file) for file in files)]
        subprocess.run([str(part) for part in command], check=True, capture_output=True)
    return store


def job_packages() -> Path:
    """Return the folder of the job environment's packages."""
    return next((JOB.parents[1] / "lib").glob("python*")) / "site-packages"


def _environment() -> dict[str, str]:
    names = ("PATH", "HOME", "LANG", "TMPDIR", "OMP_NUM_THREADS", "OMP_WAIT_POLICY")
    return {name: os.environ[name] for name in names if name in os.environ}


def _end(server: Running) -> None:
    """End a server with all that it started."""
    with suppress(psutil.NoSuchProcess):
        family = server.processes()
        server.process.terminate()
        _, alive = psutil.wait_procs(family, timeout=10)
        for each in alive:
            with suppress(psutil.NoSuchProcess):
                each.kill()
    server.process.wait(10)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port: int = free.getsockname()[1]
        return port


class InProcess:
    """The handlers in a process of their own, without a server, called as told."""

    def __init__(
        self, model: Path, pictures: Path, *options: str, variables: Mapping[str, str] | None = None
    ) -> None:
        self._process = subprocess.Popen(
            [str(JOB), str(HERE / "in_process.py"), str(model), str(pictures), *options],
            env={**_environment(), **(variables or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, count: int) -> tuple[list[float], float]:
        """Label so many pictures; return the seconds of each, and of processors on average."""
        found = json.loads(self._ask(str(count)))
        return found["seconds"], found["cpu"]

    def answers(self) -> list[str]:
        """Return the answer to each picture."""
        found: list[str] = json.loads(self._ask("answers"))
        return found

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answered = self._process.stdout.readline()
        if not answered:
            raise SystemExit("the handlers in one process ended")
        return answered

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
