"""Our sync beside s5cmd, ``aws s3 sync`` and threaded boto3, against ``rclone serve s3``.

    .venv/bin/python -m benchmarks.sync [--files N] [--rounds N] [--milliseconds MS] [--big]

Every transfer is a process of its own, timed from start to end with the most memory it had. Rounds
rotate the order, and a round's figures are compared with each other only: the machine is shared.
Uploads go to a prefix that is empty, downloads to an empty folder, "nothing changed" repeats an
upload. ``--big`` leaves boto3 and the AWS CLI out, which need minutes for 8,000 files.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from benchmarks.s3_proxy import DelayLine, FaultyProxy
from benchmarks.sync_client import ACCESS_KEY, BUCKET, REGION, SECRET_KEY

_ROOT = Path(__file__).resolve().parents[1]
_BENCH = _ROOT / ".venv-bench" / "bin"
_KEYS = {
    "AWS_ACCESS_KEY_ID": ACCESS_KEY,
    "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
}

_LAUNCHER = """
import os, sys, time
started = time.perf_counter()
child = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, usage = os.wait4(child, 0)
print(chr(10), time.perf_counter() - started, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One transfer: wall seconds, and the most memory that its process had, in bytes."""

    seconds: float
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a benchmark keeps its things, and the port that transfers go to."""

    folder: Path
    port: int

    @property
    def data(self) -> Path:
        """The files that are sent."""
        return self.folder / "data"

    @property
    def endpoint(self) -> str:
        """The URL that transfers go to."""
        return f"http://127.0.0.1:{self.port}"


def command(client: str, way: str, place: Place, prefix: str, target: Path) -> list[str]:
    """Return the command of a client that sends the data, or fetches a prefix to ``target``."""
    bucket = f"s3://{BUCKET}/{prefix}"
    folder = str(place.data if way == "up" else target)
    if client == "whippet":
        own = [sys.executable, "-m", "benchmarks.sync_client", way, folder, str(place.port), prefix]
        return [*own, str(place.folder / "cache.json")]
    if client == "boto3":
        script = str(_ROOT / "benchmarks" / "sync_boto3.py")
        return [str(_BENCH / "python"), script, way, folder, place.endpoint, BUCKET, prefix]
    ends = (f"{folder}/", f"{bucket}/") if way == "up" else (f"{bucket}/*", f"{folder}/")
    if client == "s5cmd":
        return [str(_BENCH / "s5cmd"), "--endpoint-url", place.endpoint, "sync", *ends]
    ends = tuple(end.removesuffix("*") for end in ends)
    aws = [str(_BENCH / "aws"), "--endpoint-url", place.endpoint, "s3", "sync", *ends]
    return [*aws, "--only-show-errors", "--no-progress"]


def run(argv: list[str]) -> Measured:
    """Run a command to its end.

    Raises:
        RuntimeError: it failed; with what it said.
    """
    # A child begins with its parent's peak of memory: a small one stands between.
    launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, *argv]
    environment = {**os.environ, **_KEYS}
    done = subprocess.run(launcher, capture_output=True, text=True, env=environment, cwd=_ROOT)
    if done.returncode:
        raise RuntimeError(f"{argv} failed: {done.stdout[-500:]} {done.stderr[-500:]}")
    seconds, kilobytes = done.stdout.splitlines()[-1].split()
    return Measured(seconds=float(seconds), memory=1024 * int(kilobytes))


@contextmanager
def rclone(folder: Path) -> Iterator[int]:
    """Serve the folder ``s3`` by rclone; give its port. It answers uploads with MD5 tags."""
    (folder / "s3" / BUCKET).mkdir(parents=True)
    port = random.SystemRandom().randrange(20_000, 30_000)
    argv = [str(_BENCH / "rclone"), "serve", "s3", str(folder / "s3"), "--addr"]
    argv += [f"127.0.0.1:{port}", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]
    with (folder / "rclone.log").open("wb") as log:
        server = subprocess.Popen(argv, stderr=log, start_new_session=True)
    try:
        _wait_for(port)
        yield port
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError("rclone does not answer")


def write_data(root: Path, count: int) -> int:
    """Write files of 40 to 160 KB, 100 on average, that do not compress; return their bytes."""
    chance, total = random.Random(7), 0
    for number in range(count):
        split = ("train",) * 8 + ("valid", "test")
        path = root / split[number % 10] / f"class-{number % 20:02d}" / f"{number:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        content = b"\xff\xd8\xff\xe0" + chance.randbytes(chance.randint(40_000, 160_000))
        path.write_bytes(content)
        total += len(content)
    return total


def rounds(place: Place, clients: list[str], count: int) -> dict[tuple[str, str], list[Measured]]:
    """Measure every client in every round; each round begins with another client."""
    found: dict[tuple[str, str], list[Measured]] = {}
    for number in range(count):
        shift = number % len(clients)
        order = clients[shift:] + clients[:shift]
        for way in ("up", "unchanged", "down"):
            for client in order:
                if way == "unchanged" and client == "boto3":
                    continue
                prefix, target = f"r{number}/{client}", place.folder / "fetched"
                argv = command(client, "down" if way == "down" else "up", place, prefix, target)
                if client == "whippet" and way == "up":
                    (place.folder / "cache.json").unlink(missing_ok=True)
                found.setdefault((way, client), []).append(run(argv))
                if way == "down":
                    _compare(place.data, target)
                    shutil.rmtree(target)
        shutil.rmtree(place.folder / "s3" / BUCKET / f"r{number}", ignore_errors=True)
    return found


def _compare(data: Path, target: Path) -> None:
    sent = {path.relative_to(data): path.stat().st_size for path in data.rglob("*.jpg")}
    got = {path.relative_to(target): path.stat().st_size for path in target.rglob("*.jpg")}
    if sent != got:
        raise RuntimeError(f"{len(sent.items() ^ got.items())} files differ after a download")


def table(found: dict[tuple[str, str], list[Measured]]) -> list[str]:
    """Return the rows of a Markdown table: medians, and ratios of each round to ours."""
    lines = [
        "| | | median s | times ours (lowest to highest) | memory, MB |",
        "|---|---|--:|--:|--:|",
    ]
    for (way, client), runs in found.items():
        ours = found[way, "whippet"]
        ratios = [theirs.seconds / own.seconds for theirs, own in zip(runs, ours, strict=True)]
        middle, memory = statistics.median(ratios), max(each.memory for each in runs) / 1e6
        spread = f"{middle:.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        seconds = statistics.median(each.seconds for each in runs)
        lines.append(f"| {way} | {client} | {seconds:.2f} | {spread} | {memory:.0f} |")
    return lines


def counted(folder: Path, port: int) -> str:
    """Return the requests of a sync of unchanged data, as a proxy counts them."""
    with FaultyProxy(port) as proxy:
        place = Place(folder=folder, port=proxy.port)
        for _ in range(2):
            proxy.traffic.requests.clear()
            run(command("whippet", "up", place, "counted", folder))
        return ", ".join(f"{count} {kind}" for kind, count in proxy.traffic.requests.items())


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--milliseconds", type=float, default=0, help="added to a round trip")
    parser.add_argument("--big", action="store_true", help="beside s5cmd only")
    arguments = parser.parse_args()
    clients = ["whippet", "s5cmd"] if arguments.big else ["whippet", "s5cmd", "aws", "boto3"]
    with tempfile.TemporaryDirectory(prefix="bench-sync-") as name, ExitStack() as stack:
        folder = Path(name)
        size = write_data(folder / "data", arguments.files)
        port = stack.enter_context(rclone(folder))
        requests = counted(folder, port)
        if arguments.milliseconds:
            delay = arguments.milliseconds / 2000
            port = stack.enter_context(DelayLine(port, delay)).port
        found = rounds(Place(folder=folder, port=port), clients, arguments.rounds)
    print(
        f"{arguments.files:,} files, {size / 1e6:,.0f} MB, {arguments.rounds} rounds, "
        f"{arguments.milliseconds:.0f} ms added; nothing changed costs: {requests}"
    )
    print("\n".join(table(found)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
