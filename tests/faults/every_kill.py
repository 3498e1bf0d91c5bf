"""All kills of some scenarios, two at a time."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

from tests.faults.kills import Outcome, Point, kill_at, undisturbed
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.table import Row

# Each of them waits for the processes that it starts.
_AT_A_TIME = 3
FEW = (
    Point(role="runner", name="training-jobs: created"),
    Point(role="runner", name="endpoints: created"),
    Point(role="runner", name="delete_endpoint answered"),
    Point(role="training supervisor", name="job: started"),
    Point(role="tuning supervisor", name="training-jobs: created"),
)
# Longer, and something was waited for that could have been seen.
_SLOW_SECONDS = 20.0


def every_kill(chosen: Sequence[Scenario], *, few: bool = False) -> list[Row]:
    """Kill each scenario at each of its points, or at a ``few`` where faults were found; print what
    did not hold, return a row each.
    """
    rows = []
    # Forked: each schedule forks what it kills from a process that has imported everything.
    with multiprocessing.get_context("fork").Pool(_AT_A_TIME) as pool:
        for scenario in chosen:
            began = time.monotonic()
            normal = undisturbed(scenario)
            kill = partial(_kill, scenario.name, expected=normal.found)
            there = [each for each in normal.points if not few or each in FEW]
            outcomes = pool.map(kill, there, chunksize=1)
            rows.append(_row(scenario, outcomes, time.monotonic() - began))
    return rows


def _kill(scenario: str, point: Point, *, expected: Any) -> Outcome:
    (chosen,) = [each for each in SCENARIOS if each.name == scenario]
    return kill_at(chosen, point, expected)


def _row(scenario: Scenario, outcomes: Sequence[Outcome], seconds: float) -> Row:
    for outcome in outcomes:
        for violation in outcome.violations:
            print(f"{scenario.name}: {outcome.point.role}, {outcome.point.name}: {violation}")
        if outcome.seconds > _SLOW_SECONDS:
            at = f"{outcome.point.role}, {outcome.point.name}"
            print(f"{scenario.name}: {at}: came to its end after {outcome.seconds:.0f} s")
    missed = [outcome.point for outcome in outcomes if not outcome.happened]
    for point in missed:
        print(f"{scenario.name}: not reached this time: {point.role}, {point.name}")
    return Row(
        part=f"kills: {scenario.name}",
        boundaries=len(outcomes),
        schedules=len(outcomes) - len(missed),
        violations=sum(bool(outcome.violations) for outcome in outcomes),
        seconds=seconds,
    )
