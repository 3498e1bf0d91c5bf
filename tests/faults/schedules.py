"""Play many schedules of :mod:`tests.faults.machine`; one that breaks something is shrunk."""

from __future__ import annotations

import time
import traceback

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.faults.machine import TwoRunners
from tests.faults.table import Row

MANY, FEW = 10_000, 300
_STEPS_EACH = 12


def play(schedules: int) -> Row:
    """Play so many schedules; print the shortest one that breaks something."""
    began, violations, played = time.monotonic(), 0, [0]

    class Counted(TwoRunners):
        def __init__(self) -> None:
            super().__init__()
            played[0] += 1

    chosen = settings(
        max_examples=schedules,
        stateful_step_count=_STEPS_EACH,
        database=None,
        deadline=None,
        # The same ones each time: what is found today is found tomorrow.
        derandomize=True,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(Counted, settings=chosen)
    except AssertionError:
        violations = 1
        traceback.print_exc(limit=-3)
    seconds = time.monotonic() - began
    return Row(
        part="schedules of faults", schedules=played[0], violations=violations, seconds=seconds
    )
