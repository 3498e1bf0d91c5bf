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
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

from benchmarks.instrumentation import Row
from benchmarks.search.ratios import Ratios
from benchmarks.serving.client import Crowd, lone
from benchmarks.serving.servers import (
    BENCH,
    OURS,
    PEERS,
    InProcess,
    Running,
    job_packages,
    running,
    start,
    wait_until_it_answers,
)
from benchmarks.serving.world import World, prepared, world_of

HANDLERS, PLAIN = "the same handlers in one process", "plain torch in one process"
CLIENTS = 8
_MS = 1000


@dataclass(slots=True, kw_only=True)
class Turns:
    """What each contender took, turn by turn."""

    p50: dict[str, list[float]] = field(default_factory=dict)
    p99: dict[str, list[float]] = field(default_factory=dict)
    rates: dict[str, list[float]] = field(default_factory=dict)
    cpu: dict[str, list[float]] = field(default_factory=dict)

    def note_lone(self, name: str, seconds: Sequence[float]) -> None:
        """Note the seconds of each call of a lone client, without the first two."""
        ordered = sorted(seconds[2:])
        self.p50.setdefault(name, []).append(statistics.median(ordered))
        self.p99.setdefault(name, []).append(ordered[int(0.99 * (len(ordered) - 1))])

    def note_rate(self, name: str, rate: float, cpu: float) -> None:
        """Note answers a second, and seconds of processors for one."""
        self.rates.setdefault(name, []).append(rate)
        self.cpu.setdefault(name, []).append(cpu)


def side_by_side(world: World, arguments: argparse.Namespace) -> list[Row]:
    """Run all contenders in turn; return what each takes, and the ratios."""
    turns, missing = Turns(), []
    with ExitStack() as stack:
        bare = {
            HANDLERS: stack.enter_context(InProcess(world.model, world.pictures)),
            PLAIN: stack.enter_context(InProcess(world.model, world.pictures, "plain")),
        }
        servers = []
        for kind in (OURS, *PEERS):
            why = kind.why_not()
            if why is not None:
                missing.append(Row(what=kind.name, measured=f"not run: {why}"))
                continue
            sent = world.requests(kind)[0]
            servers.append(
                stack.enter_context(running(kind, world.model, world.scratch, sent)),
            )
        for turn in range(arguments.pairs):
            _progress(f"a lone client, turn {turn + 1} of {arguments.pairs}")
            _lone_turn(world, turns, bare, servers[:: -1 if turn % 2 else 1], arguments.calls)
        for turn in range(arguments.pairs):
            _progress(f"{CLIENTS} clients, turn {turn + 1} of {arguments.pairs}")
            _full_turn(world, turns, bare, servers[:: -1 if turn % 2 else 1], arguments.seconds)
    return [*_takes(turns), *missing, *_compared(turns)]


def _lone_turn(
    world: World,
    turns: Turns,
    bare: dict[str, InProcess],
    servers: Sequence[Running],
    calls: int,
) -> None:
    for name, each in bare.items():
        turns.note_lone(name, each.run(calls)[0])
    for server in servers:
        sent = world.requests(server.kind)
        turns.note_lone(server.kind.name, lone(server.port, (sent * calls)[:calls]))


def _full_turn(
    world: World,
    turns: Turns,
    bare: dict[str, InProcess],
    servers: Sequence[Running],
    seconds: float,
) -> None:
    for name, each in bare.items():
        taken, cpu = each.run(max(8, round(seconds / statistics.median(turns.p50[name]))))
        turns.note_rate(name, len(taken) / sum(taken), cpu)
    for server in servers:
        sent, before = world.requests(server.kind), server.cpu()
        tally = Crowd(clients=CLIENTS, seconds=seconds).ask(server.port, sent)
        if tally.lost or tally.others or not tally.answered:
            raise SystemExit(f"{server.kind.name}: {tally}")
        used = (server.cpu() - before) / tally.answered
        turns.note_rate(server.kind.name, tally.rate, used)


def _takes(turns: Turns) -> list[Row]:
    rows = []
    for name in turns.p50:
        p50, p99 = statistics.median(turns.p50[name]), statistics.median(turns.p99[name])
        rate, cpu = statistics.median(turns.rates[name]), statistics.median(turns.cpu[name])
        measured = (
            f"p50 {_MS * p50:.1f} ms, p99 {_MS * p99:.1f} ms; {rate:.1f}/s, CPU {_MS * cpu:.1f} ms"
        )
        rows.append(Row(what=f"{name}: lone client; {CLIENTS} clients", measured=measured))
    return rows


def _compared(turns: Turns) -> list[Row]:
    added = [
        _MS * (ours - bare)
        for ours, bare in zip(turns.p50[OURS.name], turns.p50[HANDLERS], strict=True)
    ]
    low, middle, high = statistics.quantiles(added, n=4, method="inclusive")
    rows = [
        Row(
            what="ours adds at p50, for a lone client",
            measured=f"{middle:.2f} ms [{low:.2f}, {high:.2f}]",
            goal="≤ 1.0 ms",
            met=middle <= 1.0,
        )
    ]
    goals = {HANDLERS: 0.93, "FastAPI": 1.5}
    for name in turns.rates:
        if name == OURS.name:
            continue
        ratios = Ratios()
        for ours, theirs in zip(turns.rates[OURS.name], turns.rates[name], strict=True):
            ratios.add(ours, theirs)
        row = ratios.row(f"ours by {name}, {CLIENTS} clients", goals.get(name, 0), at_least=True)
        rows.append(row if name in goals else Row(what=row.what, measured=row.measured))
    return rows


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
                _progress(f"{kind.name} answered {taken[-1]:.1f} s after its start")
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
                _progress(f"{tenth + answered:,} of {arguments.requests:,}: {memory[-1]} MB")

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
    "turns": side_by_side,
    "start": from_the_start,
    "crowd": crowd,
}


def _progress(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def print_table(rows: Sequence[Row]) -> None:
    """Print the rows as a table of Markdown."""
    print("\n| | measured | goal |\n|---|---:|---:|")
    for row in rows:
        missed = " (missed)" if row.met is False else ""
        print(f"| {row.what} | {row.measured} | {row.goal}{missed} |", flush=True)


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
        rows: list[Row] = []
        for part in arguments.parts:
            found = PARTS[part](world, arguments)
            rows += found
            print_table(found)
    print_table(rows)
    return 0 if all(row.met is not False for row in rows) else 1


if __name__ == "__main__":
    raise SystemExit(main())
