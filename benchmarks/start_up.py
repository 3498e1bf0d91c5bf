"""How long does ``whippet --help`` take, compared with ``prefect --version``?

    .venv/bin/python -m benchmarks.start_up

Runs the two in turn in the same environment, so other work on the machine affects both alike;
prints medians in milliseconds, and the median of the pairs' ratios with its quartiles.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

_PAIRS = 15
_FOLDER = Path(sys.executable).parent


def milliseconds(command: list[str]) -> float:
    """Return the wall time of one run of a command."""
    started = time.perf_counter()
    subprocess.run([_FOLDER / command[0], *command[1:]], check=True, stdout=subprocess.DEVNULL)
    return 1000 * (time.perf_counter() - started)


def main() -> int:
    """Print the table."""
    ours, theirs = ["whippet", "--help"], ["prefect", "--version"]
    milliseconds(ours), milliseconds(theirs)
    pairs = [(milliseconds(ours), milliseconds(theirs)) for _ in range(_PAIRS)]
    ratios = sorted(own / other for own, other in pairs)
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(f"whippet --help     {statistics.median(own for own, _ in pairs):7.0f} ms")
    print(f"prefect --version  {statistics.median(other for _, other in pairs):7.0f} ms")
    print(
        f"ratio              {middle:7.3f}    (quartiles {low:.3f} to {high:.3f}, {_PAIRS} pairs)"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
