"""Choose what is killed where: at random, and the same for the same seed and run."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from platforms.errors import WhippetError

Target = Literal["engine", "job supervisor", "worker", "model server", "Prefect server"]
TARGETS: tuple[Target, ...] = get_args(Target)
# What kills itself at its moment; the others are killed when the engine is at theirs.
ROLES: dict[Target, str] = {"engine": "runner", "job supervisor": "training supervisor"}
RUNNER = "runner"
# Before it, a second run finds the data in the bucket and does less than the first.
_FIRST = "create_training_job asked"
_DEPLOYED = "create_endpoint answered"
# A job that is killed as it begins shows little.
_LEAST_POINTS = 4


class ChaosError(WhippetError):
    """Raised when the stage for the kills cannot be set, or the run does not come through."""


class Moment(NamedTuple):
    """A process of a role was at a point for the ``nth`` time."""

    role: str
    point: str
    nth: int
    pid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """A target, and the moment of the process of ``role`` at which it dies."""

    target: Target
    role: str
    point: str
    count: int

    def __str__(self) -> str:
        """Say it for people."""
        who = "it" if self.target in ROLES else "the engine"
        times = "" if self.count == 1 else f", time {self.count}"
        return f"{self.target}: when {who} is at “{self.point}”{times}"


def moments(folder: Path, start: int = 0) -> tuple[list[Moment], int]:
    """Return the moments that were noted behind byte ``start``, and where to go on."""
    try:
        with (folder / "reached.jsonl").open("rb") as file:
            file.seek(start)
            text = file.read()
    except FileNotFoundError:
        return [], start
    whole = text[: text.rfind(b"\n") + 1]
    values = [json.loads(line) for line in whole.splitlines()]
    found = [Moment(v["role"], v["point"], v["count"], v["pid"]) for v in values]
    return found, start + len(whole)


def choose(seen: Sequence[Moment], seed: int, number: int) -> list[Kill]:
    """Return ``number`` kills at moments that an unharmed run was ``seen`` at.

    Of up to five each has another target. No two are at the same point.

    Raises:
        ChaosError: the run was seen at too few points.
    """
    draw = random.Random(seed)
    targets = draw.sample(TARGETS, min(number, len(TARGETS)))
    while len(targets) < number:
        targets.append(draw.choice(TARGETS))
    kills: list[Kill] = []
    for target in targets:
        taken = {(kill.role, kill.point) for kill in kills}
        free = [place for place in _places(seen, target) if place not in taken]
        if not free:
            raise ChaosError(f"no moment is left to kill the {target} at: ask for fewer kills")
        role, point = draw.choice(free)
        times = max(each.nth for each in seen if (each.role, each.point) == (role, point))
        # A process that starts again counts anew, and how often one looks depends on the machine.
        nth = draw.randint(1, max(1, times // 2))
        kills.append(Kill(target=target, role=role, point=point, count=nth))
    return kills


def _places(seen: Sequence[Moment], target: Target) -> list[tuple[str, str]]:
    """Return the roles and points at which a target may be killed, in the order of their first."""
    if target == "job supervisor":
        role = ROLES[target]
        found = [(each.role, each.point) for each in seen if each.role == role]
        return list(dict.fromkeys(found))[_LEAST_POINTS:]
    since = _DEPLOYED if target == "model server" else _FIRST
    engine = [each.point for each in seen if each.role == RUNNER]
    begin = engine.index(since) if since in engine else len(engine)
    return [(RUNNER, point) for point in dict.fromkeys(engine[begin:])]
