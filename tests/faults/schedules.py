"""Play many schedules of :mod:`tests.faults.machine`; one that breaks something is shrunk."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from functools import partial

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.machine import TwoRunners
from tests.faults.table import Row

MANY, FEW = 10_000, 300
_STEPS_EACH = 12
_AT_A_TIME = 2
# Hypothesis remembers all that it has played, and grows slower.
_SHARES = 8


def play(schedules: int) -> Row:
    """Play so many schedules; print the shortest one that breaks something."""
    began = time.monotonic()
    return _row([_share(0, schedules=schedules)], time.monotonic() - began)


def play_in_shares(schedules: int) -> Row:
    """Play so many schedules in several processes, each other ones; see :func:`play`."""
    began = time.monotonic()
    share = partial(_share, schedules=-(-schedules // _SHARES))
    with multiprocessing.get_context("fork").Pool(_AT_A_TIME) as pool:
        played = pool.map(share, range(_SHARES), chunksize=1)
    return _row(played, time.monotonic() - began)


def _row(played: list[tuple[int, int]], seconds: float) -> Row:
    return Row(
        part="schedules of faults",
        schedules=sum(schedules for schedules, _ in played),
        violations=sum(violations for _, violations in played),
        seconds=seconds,
    )


def _share(number: int, *, schedules: int) -> tuple[int, int]:
    """Return how many schedules were played, and how many ways they found to break something."""
    played = [0]

    # The same ones each time: what is found today is found tomorrow.
    @seed(number)
    class Counted(TwoRunners):
        def __init__(self) -> None:
            super().__init__()
            played[0] += 1

    chosen = settings(
        max_examples=schedules,
        stateful_step_count=_STEPS_EACH,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(Counted, settings=chosen)
    except AssertionError:
        traceback.print_exc(limit=-3)
        return played[0], 1
    return played[0], 0
