"""What the model server costs beside the network's own time, and beside other servers: one table.

    make bench-serve

A small network is trained on the sample data, and served by ours, plain FastAPI, LitServe and,
where it can run, TorchServe. All of them, and the same handlers in one process without a server,
take turns: a lone client, then eight at a time. Ratios and differences are of turns that ran next
to each other: median and quartiles. Then: how soon a server answers after its start, and 10,000
requests of 200 clients. The exit code says whether every goal was met.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from benchmarks.instrumentation import Row
from benchmarks.parts import print_parts
from benchmarks.serving.client import Crowd
from benchmarks.serving.servers import (
    BENCH,
    OURS,
    PEERS,
    job_packages,
    running,
    start,
    wait_until_it_answers,
)
from benchmarks.serving.turns import added, progress, side_by_side, threads_of_one
from benchmarks.serving.world import World, prepared, world_of


def from_the_start(world: World, arguments: argparse.Namespace) -> list[Row]:
    """Return the seconds from the start of each server's process to its first answer of 200."""
    rows = []
    for kind in (OURS, *PEERS):
        if kind.why_not() is not None:
            continue
        sent, taken = world.requests(kind)[0], []
        for _ in range(arguments.pairs if kind is OURS else 2):
            with start(kind, world.model, world.scratch) as server:
                taken.append(wait_until_it_answers(server, sent))
                progress(f"{kind.name} answered {taken[-1]:.1f} s after its start")
                if kind is OURS:
                    first = Crowd(clients=1, total=1, right=world.right())
                    tally = first.ask(server.port, world.requests(kind))
                    assert tally.wrong == 0, "the first answer is wrong"
        middle, spread = statistics.median(taken), f"[{min(taken):.2f}, {max(taken):.2f}]"
        ours = kind is OURS
        rows.append(
            Row(
                what=f"{kind.name}: start to the first right answer",
                measured=f"{middle:.2f} s {spread}",
                goal="≤ 3 s" if ours else "",
                met=middle <= 3 if ours else None,
            )
        )
    return rows


def crowd(world: World, arguments: argparse.Namespace) -> list[Row]:
    """Send many requests of many clients to ours; return what was lost, wrong, and kept."""
    sent, right = world.requests(OURS), world.right()
    with running(OURS, world.model, world.scratch, sent[0]) as server:
        tenth = max(1, arguments.requests // 10)
        people = Crowd(clients=arguments.clients, total=tenth, right=right)
        first = people.ask(server.port, sent)
        before = server.megabytes()
        memory = [f"{before:.0f}"]

        def note(answered: int) -> None:
            if answered % tenth == 0:
                memory.append(f"{server.megabytes():.0f}")
                progress(f"{tenth + answered:,} of {arguments.requests:,}: {memory[-1]} MB")

        others = replace(people, total=arguments.requests - tenth, progress=note)
        rest = others.ask(server.port, sent)
        grown = server.megabytes() - before
    lost = first.lost + rest.lost + sum((first.others + rest.others).values())
    wrong, answered = first.wrong + rest.wrong, first.answered + rest.answered
    what = f"{arguments.requests:,} requests of {arguments.clients} clients"
    return [
        Row(
            what=f"{what}: answered, lost, wrong",
            measured=f"{answered:,}, {lost}, {wrong} ({rest.rate:.0f}/s)",
            goal="all, 0, 0",
            met=(answered, lost, wrong) == (arguments.requests, 0, 0),
        ),
        Row(
            what="told to come back after a second (429), and came",
            measured=f"{first.refused + rest.refused:,}",
        ),
        Row(
            what=f"memory after each tenth of them ({', '.join(memory)} MB), more at the end",
            measured=f"{grown:+.1f} MB",
            goal="≤ 10 MB more",
            met=grown <= 10,
        ),
    ]


PARTS: dict[str, Callable[[World, argparse.Namespace], list[Row]]] = {
    "added": added,
    "turns": side_by_side,
    "threads": threads_of_one,
    "start": from_the_start,
    "crowd": crowd,
}


def versions() -> str:
    """Return what is compared, with versions."""
    places = [str(job_packages())]
    places += [str(each) for each in (BENCH.parent / "lib").glob("python*/site-packages")]
    found = {
        each.metadata["Name"].lower(): each.version for each in metadata.distributions(path=places)
    }
    names = ("torch", "uvicorn", "starlette", "fastapi", "litserve", "torchserve")
    return ", ".join(f"{name} {found[name]}" for name in names if name in found)


def options() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--network", default="mobilenet_v2")
    parser.add_argument("--image-size", type=int, default=160)
    parser.add_argument("--archive", type=Path, help="an extracted model.tar.gz to serve instead")
    parser.add_argument("--pairs", type=int, default=7, help="turns of each contender")
    parser.add_argument("--calls", type=int, default=42, help="of a lone client, in a turn")
    parser.add_argument("--seconds", type=float, default=3, help="of eight clients, in a turn")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--parts", nargs="+", choices=sorted(PARTS), default=list(PARTS))
    return parser


def main() -> int:
    """Print the table; the exit code tells whether the goals were met."""
    arguments = options().parse_args()
    # Whoever ends the benchmark ends the servers, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="whippet-bench-serve-") as folder:
        scratch = Path(folder)
        if arguments.archive is None:
            world = prepared(scratch, arguments.network, arguments.image_size)
        else:
            world = world_of(scratch, arguments.archive.resolve())
        print(f"{versions()}; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
        return print_parts(PARTS[part](world, arguments) for part in arguments.parts)


if __name__ == "__main__":
    raise SystemExit(main())
