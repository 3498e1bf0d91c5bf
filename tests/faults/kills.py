"""Kill a process at every point that it passes, go on, and check what must hold.

I1 at most one job a step is neither failed nor stopped; I2 nothing runs or is deployed that no
record owns; I3 what came out is what comes out of an undisturbed run; I4 no visible file is half
written; I5 whoever looks next finds everything ended that has ended; I6 no secret is in any file.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sm_entrypoints.contract.kill_points import VARIABLE, killed, order_kill, points
from tests.faults.scenarios import Scenario, living_jobs
from tests.faults.world import SECRET, World, forked, make_world

# A killed supervisor costs an attempt, and the next one may find it only then.
_MOST_ATTEMPTS = 4


@dataclass(frozen=True, kw_only=True)
class Point:
    """Where to kill: the role of the process, and the moment."""

    role: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one kill came to."""

    scenario: str
    point: Point
    happened: bool
    attempts: int
    violations: tuple[str, ...]
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Undisturbed:
    """What a scenario passes and comes to when nothing is killed."""

    points: tuple[Point, ...]
    found: Any


@contextmanager
def fresh_world(scenario: Scenario) -> Iterator[tuple[World, Path]]:
    """Give a prepared world, and the folder of its kill points; all of it goes with the block."""
    root = Path(tempfile.mkdtemp(prefix="whippet-faults-"))
    world = make_world(root)
    try:
        log = root / "prepare.txt"
        code = forked(lambda: scenario.prepare(world), log)
        assert code == 0, log.read_text()
        yield world, root / "points"
    finally:
        world.end()
        shutil.rmtree(root, ignore_errors=True)


def undisturbed(scenario: Scenario) -> Undisturbed:
    """Run a scenario once, and list the points of all its processes."""
    with fresh_world(scenario) as (world, folder):
        log = folder.with_name("log.txt")
        code = forked(lambda: scenario.act(world), log, **{VARIABLE: str(folder)}, **SECRET)
        assert code == 0, log.read_text()
        problems = violations(scenario, world, None)
        assert not problems, problems
        found = [Point(role=role, name=name) for role, name in points(folder)]
        return Undisturbed(points=tuple(found), found=scenario.found(world))


def kill_at(scenario: Scenario, point: Point, expected: Any) -> Outcome:
    """Kill a scenario's process at a point, go on until it is through, and check the world."""
    began = time.monotonic()
    with fresh_world(scenario) as (world, folder):
        order_kill(folder, role=point.role, point=point.name)
        log, attempts = folder.with_name("log.txt"), 0
        while attempts < _MOST_ATTEMPTS:
            attempts += 1
            code = forked(lambda: scenario.act(world), log, **{VARIABLE: str(folder)}, **SECRET)
            if code == 0:
                break
        happened = killed(folder)
        problems = [] if code == 0 else [f"I5 does not come to an end: {log.read_text()[-400:]}"]
        if happened and point.role == "runner" and attempts == 1:
            problems.append(f"{point} was killed, and yet its process ended well")
        try:
            problems += violations(scenario, world, expected) if code == 0 else []
        except Exception:  # noqa: BLE001 - whatever is wrong with a world is the finding
            problems.append(traceback.format_exc(limit=3))
        return Outcome(
            scenario=scenario.name,
            point=point,
            happened=bool(happened),
            attempts=attempts,
            violations=tuple(problems),
            seconds=time.monotonic() - began,
        )


def violations(scenario: Scenario, world: World, expected: Any) -> list[str]:
    """Return what does not hold in a world whose scenario is through."""
    problems = world.wait_until_quiet(scenario.lives)
    jobs = living_jobs(world)
    problems += [
        f"I1 {count} x {noun}, not {scenario.creates.get(noun, 0)}"
        for noun, count in jobs.items()
        if count > scenario.creates.get(noun, 0)
    ]
    there = len(world.platform.sagemaker.list_endpoints()["Endpoints"])
    if there != scenario.endpoints:
        problems.append(f"I2 {there} endpoints, not {scenario.endpoints}")
    if expected is not None:
        found = scenario.found(world)
        if found != expected:
            problems.append(f"I3 {found!r}, not {expected!r}")
    return problems + _half_written(world) + _secrets(world)


def _half_written(world: World) -> list[str]:
    problems = []
    for path in world.home.rglob("*.json"):
        if any(part.startswith(".") for part in path.relative_to(world.home).parts):
            continue
        try:
            json.loads(path.read_text("utf-8"))
        except ValueError as error:
            problems.append(f"I4 {path}: {error}")
    return problems


def _secrets(world: World) -> list[str]:
    canary = next(iter(SECRET.values())).encode()
    return [
        f"I6 {path}"
        for path in world.home.rglob("*")
        if path.is_file() and not path.is_symlink() and canary in path.read_bytes()
    ]
