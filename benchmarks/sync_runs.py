"""Single transfers for :mod:`benchmarks.sync`: the commands of the clients, and the S3 server."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import obstore
import psutil

from benchmarks.sync_client import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, store_at

_ROOT = Path(__file__).resolve().parents[1]
_BENCH = _ROOT / ".venv-bench" / "bin"
_KEYS = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    # Nobody's own settings of the AWS CLI and boto3 take part.
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}
_TIMEOUT = 400.0

_LAUNCHER = """
import os, sys, time
started = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
seconds = time.perf_counter() - started
print(chr(10), seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class TransferFailed(RuntimeError):
    """Raised when a client failed or took too long; includes its output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One transfer: wall seconds, processor seconds of client and server, peak memory in bytes."""

    seconds: float
    client_cpu: float
    server_cpu: float
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """An S3 server, and the folder of its bucket."""

    process: psutil.Process
    port: int
    bucket: Path

    def cpu(self) -> float:
        """Return the processor seconds that it has used."""
        times = self.process.cpu_times()
        return float(times.user + times.system)

    def warm(self, prefix: str) -> None:
        """List a prefix: rclone hashes an object when it is first listed, which S3 does not."""
        for _ in obstore.list(store_at(self.port), prefix=prefix):
            pass


def require_clients() -> None:
    """Stop when the environment of the benchmark is not there.

    Raises:
        TransferFailed: says how to make it.
    """
    missing = [name for name in ("s5cmd", "aws", "rclone") if not (_BENCH / name).exists()]
    if missing:
        raise TransferFailed(f"{', '.join(missing)} not found in {_BENCH}: run `make bench-sync`")


def command(client: str, way: str, folder: Path, port: int, prefix: str) -> list[str]:
    """Return the command of a client that sends a folder, or fetches a prefix into it.

    ``way`` is up or down.
    """
    bucket, endpoint = f"s3://{BUCKET}/{prefix}", f"http://127.0.0.1:{port}"
    if client == "whippet":
        own = [sys.executable, "-m", "benchmarks.sync_client", way, str(folder), str(port), prefix]
        return [*own, str(folder.with_name("cache.json"))]
    if client == "boto3":
        script = str(_ROOT / "benchmarks" / "sync_boto3.py")
        return [str(_BENCH / "python"), script, way, str(folder), endpoint, BUCKET, prefix]
    if client == "s5cmd":
        ends = (f"{folder}/", f"{bucket}/") if way == "up" else (f"{bucket}/*", f"{folder}/")
        return [str(_BENCH / "s5cmd"), "--endpoint-url", endpoint, "sync", *ends]
    ends = (f"{folder}/", f"{bucket}/") if way == "up" else (f"{bucket}/", f"{folder}/")
    aws = [str(_BENCH / "aws"), "--endpoint-url", endpoint, "s3", "sync", *ends]
    return [*aws, "--only-show-errors", "--no-progress"]


def run(argv: list[str], server: Server) -> Measured:
    """Run a command to its end.

    Raises:
        TransferFailed: it failed, or took too long.
    """
    # A child begins with its parent's peak of memory: a small one stands between.
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, *argv]
    before = server.cpu()
    child = subprocess.Popen(
        launcher,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **_KEYS},
        cwd=_ROOT,
        start_new_session=True,
    )
    try:
        said, complained = child.communicate(timeout=_TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise TransferFailed(f"{' '.join(argv)} took more than {_TIMEOUT:.0f} s") from error
    finally:
        _end(child)
    if child.returncode:
        raise TransferFailed(f"{' '.join(argv)} failed: {said[-300:]} {complained[-700:]}")
    seconds, cpu, kilobytes = said.splitlines()[-1].split()
    return Measured(
        seconds=float(seconds),
        client_cpu=float(cpu),
        server_cpu=server.cpu() - before,
        memory=1024 * int(kilobytes),
    )


def _end(child: subprocess.Popen[str]) -> None:
    """Make sure that a launcher and its client are gone."""
    if child.poll() is None:
        for each in [*psutil.Process(child.pid).children(recursive=True), child]:
            each.kill()
        child.communicate()


@contextmanager
def rclone(folder: Path) -> Iterator[Server]:
    """Serve the folder ``s3`` by rclone. It answers uploads with MD5 tags."""
    bucket = folder / "s3" / BUCKET
    bucket.mkdir(parents=True)
    port = random.SystemRandom().randrange(20_000, 30_000)
    argv = [str(_BENCH / "rclone"), "serve", "s3", str(folder / "s3"), "--addr"]
    argv += [f"127.0.0.1:{port}", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]
    with (folder / "rclone.log").open("wb") as log:
        process = subprocess.Popen(argv, stderr=log, start_new_session=True)
    try:
        _wait_for(process, port, folder / "rclone.log")
        yield Server(process=psutil.Process(process.pid), port=port, bucket=bucket)
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    for _ in range(300):
        if process.poll() is not None:
            break
        try:
            httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise TransferFailed(f"rclone does not answer: {log.read_text('utf-8', 'replace')[-500:]}")
