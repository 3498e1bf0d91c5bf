"""Compare our sync with s5cmd, ``aws s3 sync`` and threaded boto3, on ``rclone serve s3``.

    .venv/bin/python -m benchmarks.sync [--files N] [--milliseconds MS ...] [--minutes M]
        [--slow-rounds N] [--folder FOLDER]

It prints one table per latency. Every transfer is a separate process, timed from start to end, with
its peak memory, its processor time and the server's. The first rounds have all four clients, boto3
with a quarter of the files, so ratios compare the time per file. Then ours and s5cmd continue in
turn while there is time. Ratios are within a round. Uploads go to an empty prefix and downloads to
an empty folder; "unchanged" repeats an upload.

All files are in memory if there is room: on a disk, its journal takes most of the time (ext4 takes
up to twice the processor time after files were deleted), and the server uses the same disk.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import psutil

from benchmarks.delay_line import DelayLine
from benchmarks.s3_proxy import FaultyProxy
from benchmarks.sync_runs import (
    Measured,
    Server,
    TransferFailed,
    command,
    rclone,
    require_clients,
    run,
)

_QUICK = ("whippet", "s5cmd")
_SLOW = ("aws", "boto3")
_MOST_ROUNDS = 7
_GOALS = {
    ("up", "s5cmd"): 1.5,
    ("down", "s5cmd"): 1.5,
    ("up", "aws"): 5.0,
    ("down", "aws"): 5.0,
}


@dataclass(kw_only=True)
class Bench:
    """The transfers at one latency; ``runs`` has those of each round by (way, client)."""

    folder: Path
    server: Server
    port: int
    sizes: dict[str, int]
    runs: list[dict[tuple[str, str], Measured]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    requests: str = ""

    def data(self, client: str) -> Path:
        """Return the folder that a client sends."""
        return self.folder / ("quarter" if client == "boto3" else "data")

    def round(self, clients: Sequence[str]) -> None:
        """Measure some clients once, each way."""
        number, found = len(self.runs), dict[tuple[str, str], Measured]()
        self.runs.append(found)
        for way in ("up", "unchanged", "down"):
            for client in clients:
                # Threaded boto3 knows nothing of "unchanged"; what did not arrive is not fetched.
                if way != "up" and ("up", client) not in found:
                    continue
                if (way, client) == ("unchanged", "boto3"):
                    continue
                measured = self._one(client, way, f"{self.port}-{number}/{client}")
                if measured is not None:
                    found[way, client] = measured
        shutil.rmtree(self.server.bucket / f"{self.port}-{number}", ignore_errors=True)

    def _one(self, client: str, way: str, prefix: str) -> Measured | None:
        """Return one transfer; None, and a note, when a client that is not ours fails."""
        data, target = self.data(client), self.folder / "fetched"
        if client == "whippet" and way == "up":
            (self.folder / "cache.json").unlink(missing_ok=True)
        if way == "unchanged":
            self.server.warm(prefix)
        argv = (
            command(client, "down", target, self.port, prefix)
            if way == "down"
            else command(client, "up", data, self.port, prefix)
        )
        try:
            measured = run(argv, self.server)
            if way == "down":
                _compare(data, target)
        except TransferFailed as error:
            if client == "whippet":
                raise
            self.failures.append(f"{way} {client}: {error}")
            return None
        finally:
            shutil.rmtree(target, ignore_errors=True)
        print(f"  {way} {client}: {measured.seconds:.2f} s", file=sys.stderr, flush=True)
        if client == "whippet" and way == "unchanged" and not self.requests:
            self.requests = self._counted(prefix)
        return measured

    def _counted(self, prefix: str) -> str:
        """Return the requests of a sync of unchanged data, as a proxy counts them."""
        with FaultyProxy(self.port) as proxy:
            run(command("whippet", "up", self.data("whippet"), proxy.port, prefix), self.server)
            return ", ".join(f"{count} {kind}" for kind, count in proxy.traffic.requests.items())


def _compare(data: Path, target: Path) -> None:
    sent = {path.relative_to(data): path.stat().st_size for path in data.rglob("*.jpg")}
    got = {path.relative_to(target): path.stat().st_size for path in target.rglob("*.jpg")}
    if sent != got:
        raise TransferFailed(f"{len(sent.items() ^ got.items())} files differ after a download")


def write_data(folder: Path, count: int) -> dict[str, int]:
    """Write files of 40 to 160 KB, 100 on average, that do not compress; return their numbers.

    ``data`` has all of them, ``quarter`` every fourth of them.
    """
    chance = random.Random(7)
    for number in range(count):
        split = ("train",) * 8 + ("valid", "test")
        name = Path(split[number % 10]) / f"class-{number % 20:02d}" / f"{number:05d}.jpg"
        content = b"\xff\xd8\xff\xe0" + chance.randbytes(chance.randint(40_000, 160_000))
        # Twenty neighbours of each eighty: of every class and split.
        for part in ("data", "quarter") if number % 80 < 20 else ("data",):
            path = folder / part / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    parts = ("data", "quarter")
    return {part: sum(1 for _ in (folder / part).rglob("*.jpg")) for part in parts}


def table(bench: Bench) -> list[str]:
    """Return a Markdown table: medians of the rounds, and ratios of each round to ours."""
    lines = [
        "| | client | files | runs | median s | times ours, by file (lowest to highest) | goal "
        "| processor s: client + server | MB |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for way in ("up", "unchanged", "down"):
        for client in (*_QUICK, *_SLOW):
            if any((way, client) in found for found in bench.runs):
                lines.append(_row(bench, way, client))
    return lines


def _row(bench: Bench, way: str, client: str) -> str:
    files = {each: bench.sizes[bench.data(each).name] for each in ("whippet", client)}
    pairs = [
        (found[way, client], found[way, "whippet"])
        for found in bench.runs
        if (way, client) in found
    ]
    ratios = [
        (theirs.seconds / files[client]) / (ours.seconds / files["whippet"])
        for theirs, ours in pairs
    ]
    runs = [theirs for theirs, _ in pairs]
    goal = _GOALS.get((way, client))
    wanted = "≤ 1 s" if (way, client) == ("unchanged", "whippet") else f"≥ {goal}" if goal else ""
    return (
        f"| {way} | {client} | {files[client]:,} | {len(runs)} "
        f"| {statistics.median(each.seconds for each in runs):.2f} "
        f"| {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | {wanted} "
        f"| {statistics.median(each.client_cpu for each in runs):.1f} + "
        f"{statistics.median(each.server_cpu for each in runs):.1f} "
        f"| {max(each.memory for each in runs) / 1e6:.0f} |"
    )


def measure(bench: Bench, seconds: float, slow_rounds: int) -> None:
    """Do rounds of all clients, then of the quick ones, while one more fits into the time."""
    started = time.monotonic()
    for _ in range(slow_rounds):
        bench.round([*_QUICK, *_SLOW])
    while len(bench.runs) < _MOST_ROUNDS:
        last = bench.runs[-1]
        needed = 1.1 * sum(each.seconds for (_, who), each in last.items() if who in _QUICK)
        if time.monotonic() - started + needed > seconds:
            break
        # Each round begins with the other one.
        bench.round(_QUICK if len(bench.runs) % 2 == 0 else _QUICK[::-1])


def _roomy_folder(files: int) -> Path | None:
    """Return the folder in memory, if there is one with room for what is measured."""
    memory = Path("/dev/shm")
    needed = 8 * files * 100_000
    if not memory.is_dir() or shutil.disk_usage(memory).free < needed:
        return None
    return memory if psutil.virtual_memory().available > 1.5 * needed else None


def report(bench: Bench, milliseconds: float, size: int, load: Sequence[float]) -> None:
    """Print the table and what belongs to it."""
    print(
        f"\n{bench.sizes['data']:,} files, {size / 1e6:,.0f} MB, {milliseconds:.0f} ms added; "
        f"{'in memory' if bench.folder.is_relative_to('/dev/shm') else 'on disk'}; "
        f"{os.cpu_count()} processors, load before {load[0]:.1f}, after {os.getloadavg()[0]:.1f} "
        f"(ours and one other are 2 to 4); obstore {version('obstore')}\n"
    )
    print("\n".join(table(bench)))
    print(f"\nnothing changed costs ours: {bench.requests}")
    print("".join(f"failed, and not in the table: {text}\n" for text in bench.failures), flush=True)


def main() -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=8_000)
    parser.add_argument(
        "--milliseconds", type=float, nargs="+", default=[0, 20], help="added to a round trip"
    )
    parser.add_argument("--minutes", type=float, default=11, help="for all latencies together")
    parser.add_argument("--slow-rounds", type=int, default=1, help="with aws and boto3")
    parser.add_argument("--folder", type=Path, help="for all files (default: memory, or TMPDIR)")
    arguments = parser.parse_args()
    # Ended by a signal, it ends the server and removes the folder on its way out.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    place = arguments.folder or _roomy_folder(arguments.files)
    try:
        require_clients()
        with tempfile.TemporaryDirectory(prefix="bench-sync-", dir=place) as name:
            _measure_all(Path(name), arguments)
    except TransferFailed as error:
        print(f"bench-sync: {error}", file=sys.stderr)
        return 1
    return 0


def _measure_all(folder: Path, arguments: argparse.Namespace) -> None:
    started = time.monotonic()
    sizes = write_data(folder, arguments.files)
    size = sum(path.stat().st_size for path in (folder / "data").rglob("*.jpg"))
    for done, milliseconds in enumerate(arguments.milliseconds):
        left = 60 * arguments.minutes - (time.monotonic() - started)
        load = os.getloadavg()
        # A new server each time: one that has served for a while takes more for the same.
        with ExitStack() as stack:
            server = stack.enter_context(rclone(folder / f"server-{done}"))
            port = server.port
            if milliseconds:
                port = stack.enter_context(DelayLine(server.port, milliseconds / 2000)).port
            bench = Bench(folder=folder, server=server, port=port, sizes=sizes)
            measure(bench, left / (len(arguments.milliseconds) - done), arguments.slow_rounds)
        report(bench, milliseconds, size, load)
        shutil.rmtree(folder / f"server-{done}")


if __name__ == "__main__":
    sys.exit(main())
