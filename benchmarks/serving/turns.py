"""Contenders that take turns at the same pictures: a lone client, then several at a time."""

from __future__ import annotations

import argparse
import signal
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from benchmarks.instrumentation import Row
from benchmarks.search.ratios import Ratios
from benchmarks.serving.client import Crowd, lone
from benchmarks.serving.servers import OURS, PEERS, PLATFORMS, InProcess, Running, running
from benchmarks.serving.world import World

HANDLERS, PLAIN = "the same handlers in one process", "plain torch in one process"
CLIENTS = 8
_TIMES_MORE_TURNS = 5
_MS = 1000
Contender = tuple[str, InProcess | Running]


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
        # Ours and the same handlers run next to each other.
        contenders: list[Contender] = [
            *reversed(bare.items()),
            *((each.kind.name, each) for each in servers),
        ]
        for turn in range(arguments.pairs):
            progress(f"a lone client, turn {turn + 1} of {arguments.pairs}")
            for name, each in contenders[:: -1 if turn % 2 else 1]:
                with by_itself(each, servers):
                    turns.note_lone(name, _lone(world, each, arguments.calls))
        for turn in range(arguments.pairs):
            progress(f"{CLIENTS} clients, turn {turn + 1} of {arguments.pairs}")
            for name, each in contenders[:: -1 if turn % 2 else 1]:
                with by_itself(each, servers):
                    pace = statistics.median(turns.p50[name])
                    turns.note_rate(name, *_full(world, each, arguments.seconds, pace))
    return [*_takes(turns), *missing, *_compared(turns)]


def threads_of_one(world: World, arguments: argparse.Namespace) -> list[Row]:
    """Label one picture after the other as the probe has it, and with all threads, in turn."""
    ratios, chosen, every = Ratios(), [], []
    with ExitStack() as stack:
        probed, forced = (
            stack.enter_context(
                InProcess(world.model, world.pictures, *options, variables=PLATFORMS)
            )
            for options in ((), ("all",))
        )
        for turn in range(arguments.pairs):
            progress(f"threads for one picture, turn {turn + 1} of {arguments.pairs}")
            for each, medians in ((probed, chosen), (forced, every))[:: -1 if turn % 2 else 1]:
                medians.append(statistics.median(each.run(arguments.calls)[0][2:]))
            ratios.add(every[-1], chosen[-1])
    row = ratios.row("all threads by the threads that the probe chose, p50", 0, at_least=True)
    both = f"{_MS * statistics.median(every):.1f} and {_MS * statistics.median(chosen):.1f} ms"
    return [Row(what=row.what, measured=f"{row.measured} ({both})")]


@contextmanager
def by_itself(contender: InProcess | Running, servers: Sequence[Running]) -> Iterator[None]:
    """Stop the other servers meanwhile: some look for work all the time."""
    others = [each for each in servers if each is not contender]
    for each in others:
        each.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for each in others:
            each.signal(signal.SIGCONT)


def _lone(world: World, contender: InProcess | Running, calls: int) -> list[float]:
    """Return the seconds of each call of a lone client."""
    if isinstance(contender, InProcess):
        return contender.run(calls)[0]
    sent = world.requests(contender.kind)
    return lone(contender.port, (sent * calls)[:calls])


def _full(
    world: World, contender: InProcess | Running, seconds: float, pace: float
) -> tuple[float, float]:
    """Return answers a second, and seconds of processors for one."""
    if isinstance(contender, InProcess):
        taken, cpu = contender.run(max(8, round(seconds / pace)))
        return len(taken) / sum(taken), cpu
    sent, before = world.requests(contender.kind), contender.cpu()
    tally = Crowd(clients=CLIENTS, seconds=seconds).ask(contender.port, sent)
    if tally.lost or tally.others or not tally.answered:
        raise SystemExit(f"{contender.kind.name}: {tally}")
    return tally.rate, (contender.cpu() - before) / tally.answered


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


def added(world: World, arguments: argparse.Namespace) -> list[Row]:
    """Let ours and the same handlers in one process take many short turns, by themselves.

    The machine's speed varies within seconds by more than what a server adds.
    """
    turns, count = Turns(), _TIMES_MORE_TURNS * arguments.pairs
    sent = world.requests(OURS)[0]
    with (
        InProcess(world.model, world.pictures) as bare,
        running(OURS, world.model, world.scratch, sent) as ours,
    ):
        contenders: list[Contender] = [(HANDLERS, bare), (OURS.name, ours)]
        for turn in range(count):
            for name, each in contenders[:: -1 if turn % 2 else 1]:
                turns.note_lone(name, _lone(world, each, arguments.calls))
    progress(f"{count} turns of ours and of the same handlers")
    differences = [
        _MS * (ours - bare)
        for ours, bare in zip(turns.p50[OURS.name], turns.p50[HANDLERS], strict=True)
    ]
    low, middle, high = statistics.quantiles(differences, n=4, method="inclusive")
    return [
        Row(
            what=f"ours adds at p50, for a lone client, {count} turns",
            measured=f"{middle:.2f} ms [{low:.2f}, {high:.2f}]",
            goal="≤ 1.0 ms",
            met=middle <= 1.0,
        )
    ]


def _compared(turns: Turns) -> list[Row]:
    rows = []
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


def progress(text: str) -> None:
    """Say where a benchmark of minutes is."""
    print(f"  {text}", file=sys.stderr, flush=True)
