"""Compare two ways to do the same, in blocks that take turns, with an interval of the ratio.

A block of one way, two of the other, one of the first again: whatever drifts (clock rate, other
work on the machine) hits both alike. Ratios are of block sums, so that what happens once in a
block of steps counts with its share. The interval is a bootstrap over the rounds.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

RESAMPLES = 4_000


@dataclass(slots=True, kw_only=True)
class Pair:
    """One way measured against another: seconds of the rounds, wall and CPU of the process.

    ``plain`` and ``measured`` run one block each time they are called. What ``clean`` does after
    a measured block takes no part in the measurement.
    """

    name: str
    plain: Callable[[], None]
    measured: Callable[[], None]
    clean: Callable[[], None] = lambda: None
    wall: list[tuple[float, float]] = field(default_factory=list)
    cpu: list[tuple[float, float]] = field(default_factory=list)

    def run_round(self) -> None:
        """Run plain, measured, measured, plain; note the seconds of both."""
        seconds = {True: [0.0, 0.0], False: [0.0, 0.0]}
        for on in (False, True, True, False):
            wall, cpu = time.perf_counter(), time.process_time()
            (self.measured if on else self.plain)()
            seconds[on][0] += time.perf_counter() - wall
            seconds[on][1] += time.process_time() - cpu
            if on:
                self.clean()
        self.wall.append((seconds[False][0], seconds[True][0]))
        self.cpu.append((seconds[False][1], seconds[True][1]))

    def overhead(self) -> Overhead:
        """Return what the measured way costs beyond the plain one."""
        return Overhead.of(self.wall)

    def cpu_overhead(self) -> Overhead:
        """Return the same in CPU time of the process, which other processes disturb less."""
        return Overhead.of(self.cpu)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    """Share of the plain time (0.01: one per cent), its 95 % bootstrap interval, and rounds."""

    value: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, rounds: Sequence[tuple[float, float]]) -> Overhead:
        """Return the overhead that rounds of (plain, measured) seconds show: their median ratio."""
        ratios = [measured / plain for plain, measured in rounds]
        dice = random.Random(0)
        medians = sorted(
            statistics.median(dice.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES)
        )
        return cls(
            value=statistics.median(ratios) - 1,
            low=medians[round(0.025 * (RESAMPLES - 1))] - 1,
            high=medians[round(0.975 * (RESAMPLES - 1))] - 1,
            rounds=len(ratios),
        )

    def __str__(self) -> str:
        return f"{100 * self.value:+7.2f} %  [{100 * self.low:+.2f}, {100 * self.high:+.2f}]"
