"""Times of steps taken in turn, and what one kind of step costs more than another.

Steps of all kinds follow each other in cycles, so any drift (clock rate, other work on the machine)
affects all kinds alike. A kind's time is its median; the interval is a bootstrap over the cycles.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

RESAMPLES = 2_000
Clock = Literal["wall", "cpu"]
EVERY = slice(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Seconds of what was timed once."""

    wall: float
    cpu: float


class Times:
    """What was timed, by cycle and kind."""

    def __init__(self) -> None:
        self.cycles: list[dict[str, list[Spent]]] = []

    def begin_cycle(self) -> None:
        """Say that the next cycle begins."""
        self.cycles.append({})

    @contextmanager
    def of(self, kind: str) -> Iterator[None]:
        """Time what happens inside as one of ``kind`` in this cycle."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        spent = Spent(wall=time.perf_counter() - wall, cpu=time.process_time() - cpu)
        self.cycles[-1].setdefault(kind, []).append(spent)

    def median(
        self, kind: str, clock: Clock, chosen: Sequence[int] | None = None, part: slice = EVERY
    ) -> float:
        """Return the median seconds of a kind, over all cycles or the chosen ones.

        ``part`` takes some of each cycle's only.

        Raises:
            statistics.StatisticsError: it was never timed.
        """
        cycles = range(len(self.cycles)) if chosen is None else chosen
        return statistics.median(
            getattr(spent, clock)
            for cycle in cycles
            for spent in self.cycles[cycle].get(kind, [])[part]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    """Share of the plain time (0.01: one per cent), its 95% bootstrap interval, and cycles."""

    value: float
    low: float
    high: float
    cycles: int

    @classmethod
    def over_cycles(cls, count: int, ratio: Callable[[Sequence[int]], float]) -> Overhead:
        """Return what ``ratio`` (measured by plain, over the given cycles) is beyond 1."""
        dice = random.Random(0)
        ratios = sorted(ratio(dice.choices(range(count), k=count)) for _ in range(RESAMPLES))
        return cls(
            value=ratio(range(count)) - 1,
            low=ratios[round(0.025 * (RESAMPLES - 1))] - 1,
            high=ratios[round(0.975 * (RESAMPLES - 1))] - 1,
            cycles=count,
        )

    def document(self) -> dict[str, Any]:
        """Return the members for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{100 * self.value:+6.2f}%  [{100 * self.low:+.2f}, {100 * self.high:+.2f}]"
