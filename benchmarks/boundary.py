"""What the boundary costs a job: a process that does nothing, with and without, in turns."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from platforms.local.boundary.enclosure import Enclosure, Program
from platforms.local.boundary.mechanism import Mechanism, choose
from platforms.local.boundary.steps import Bind

PAIRS = 30


def seconds(mechanism: Mechanism, home: Path, name: str) -> float:
    """Return how long it takes to prepare, start, end and clean up one process."""
    ml = home / f"{name}-ml"
    ml.mkdir()
    began = time.perf_counter()
    enclosure = Enclosure.of(
        sys.executable, mechanism.to_record(), home=home, scratch=home / f"{name}-scratch"
    )
    seen = "/opt/ml" if mechanism.contained else str(ml)
    environment = {"PATH": os.environ["PATH"]}
    with (home / "log").open("ab") as log:
        what = Program(
            arguments=["-I", "-c", "pass"], cwd=seen, environment=environment, log=log, group=True
        )
        enclosure.start(what, [Bind(source=str(ml), target=seen, writable=True)]).wait()
    enclosure.discard()
    return time.perf_counter() - began


def main() -> None:
    """Print the medians and the spread of the pairs' differences."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        home = Path(folder)
        inside, outside = choose("auto", home), Mechanism(name="none")
        pairs = []
        for number in range(PAIRS + 1):
            with_it = seconds(inside, home, f"a{number}")
            pairs.append((with_it, seconds(outside, home, f"b{number}")))
        extra = sorted(1000 * (a - b) for a, b in pairs[1:])
        medians = [1000 * statistics.median(each) for each in zip(*pairs[1:], strict=True)]
        print(
            f"{inside.name}: {medians[0]:.0f} ms with, {medians[1]:.0f} ms without; the boundary "
            f"costs {statistics.median(extra):.0f} ms (middle half {extra[PAIRS // 4]:.0f} to "
            f"{extra[-PAIRS // 4]:.0f}), {PAIRS} pairs"
        )


if __name__ == "__main__":
    main()
