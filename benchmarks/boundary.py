"""What the boundary costs a job: start an idle process with and without it, in turn."""

from __future__ import annotations

import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from platforms.local.boundary.enclosure import Enclosure, Program
from platforms.local.boundary.mechanism import Mechanism, choose
from platforms.local.boundary.steps import Bind

PAIRS = 30
GOAL_MS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Milliseconds of one process: on the clock, and of processors, ours and its own."""

    wall: float
    cpu: float


def cost(mechanism: Mechanism, home: Path, name: str) -> Cost:
    """Return what it takes to prepare, start, end and clean up one process."""
    ml = home / f"{name}-ml"
    ml.mkdir()
    began, used = time.perf_counter(), _cpu_seconds()
    enclosure = Enclosure.of(
        sys.executable, mechanism.to_record(), home=home, scratch=home / f"{name}-scratch"
    )
    seen = "/opt/ml" if mechanism.contained else str(ml)
    environment = {"PATH": os.environ["PATH"]}
    with (home / "log").open("ab") as log:
        what = Program(
            arguments=["-I", "-c", "pass"], cwd=seen, environment=environment, log=log, group=True
        )
        code = enclosure.start(what, [Bind(source=str(ml), target=seen, writable=True)]).wait()
    if code != 0:
        sys.exit(f"the process did not run: {enclosure.problem() or code}")
    enclosure.discard()
    wall = time.perf_counter() - began
    return Cost(wall=1000 * wall, cpu=1000 * (_cpu_seconds() - used))


def _cpu_seconds() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(spent.ru_utime + spent.ru_stime for spent in map(resource.getrusage, kinds))


def _middle(values: Sequence[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.0f} ms (middle half {low:.0f} to {high:.0f})"


def main() -> None:
    """Print the medians and the spread of the pairs' differences."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        home = Path(folder)
        began = time.perf_counter()
        inside, outside = choose("auto", home), Mechanism(name="none")
        chosen = 1000 * (time.perf_counter() - began)
        pairs = []
        for number in range(PAIRS + 1):
            with_it = cost(inside, home, f"a{number}")
            pairs.append((with_it, cost(outside, home, f"b{number}")))
    del pairs[0]  # It asks the interpreter about itself.
    extra = [a.wall - b.wall for a, b in pairs]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors, {PAIRS} pairs")
    for name, index in ((inside.name, 0), (outside.name, 1)):
        print(f"{name}: {_middle([pair[index].wall for pair in pairs])}")
    print(f"the boundary costs a job {_middle(extra)}; the goal is {GOAL_MS} ms")
    print(f"of processors it costs {_middle([a.cpu - b.cpu for a, b in pairs])}")
    print(f"finding out what works here, once a process: {chosen:.0f} ms")


if __name__ == "__main__":
    main()
