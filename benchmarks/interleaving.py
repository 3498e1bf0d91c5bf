"""Times of steps that take turns, and what one kind of step costs beyond another.

Blocks of the kinds follow each other in cycles, so whatever drifts (clock rate, other work on the
machine) hits all alike. A kind's time is its median step; the interval is a bootstrap over cycles.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

RESAMPLES = 2_000
Clock = Literal["wall", "cpu"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Seconds of one step; ``watched``: its tensors were looked at."""

    wall: float
    cpu: float
    watched: bool


class StepTimes:
    """The steps of one kind, by cycle."""

    def __init__(self) -> None:
        self.cycles: list[list[Step]] = []

    def begin_cycle(self) -> None:
        """Say that steps of the next cycle follow."""
        self.cycles.append([])

    @contextmanager
    def step(self, *, watched: bool) -> Iterator[None]:
        """Time what happens inside as a step of this cycle."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        spent = (time.perf_counter() - wall, time.process_time() - cpu)
        self.cycles[-1].append(Step(wall=spent[0], cpu=spent[1], watched=watched))

    def median(self, clock: Clock, *, watched: bool, chosen: Sequence[int] | None = None) -> float:
        """Return the median seconds of (un)watched steps, of all cycles or of the chosen ones.

        Raises:
            statistics.StatisticsError: there are none.
        """
        cycles = range(len(self.cycles)) if chosen is None else chosen
        return statistics.median(
            getattr(step, clock)
            for cycle in cycles
            for step in self.cycles[cycle]
            if step.watched is watched
        )

    def mean_at(self, clock: Clock, every: int, chosen: Sequence[int] | None = None) -> float:
        """Return seconds a step when every ``every``-th is watched, from the two medians."""
        usual = self.median(clock, watched=False, chosen=chosen)
        if not any(step.watched for step in self.cycles[0]):
            return usual
        watched = self.median(clock, watched=True, chosen=chosen)
        return (usual * (every - 1) + watched) / every


@dataclass(frozen=True, slots=True, kw_only=True)
class Overhead:
    """Share of the plain time (0.01: one per cent), its 95 % bootstrap interval, and cycles."""

    value: float
    low: float
    high: float
    cycles: int

    @classmethod
    def of_steps(cls, plain: StepTimes, measured: StepTimes, clock: Clock, every: int) -> Overhead:
        """Return what ``measured`` costs beyond ``plain`` when every ``every``-th is watched."""
        count = len(plain.cycles)
        dice = random.Random(0)

        def ratio(chosen: Sequence[int]) -> float:
            measured_mean = measured.mean_at(clock, every, chosen)
            return measured_mean / plain.median(clock, watched=False, chosen=chosen)

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
        return f"{100 * self.value:+6.2f} %  [{100 * self.low:+.2f}, {100 * self.high:+.2f}]"
