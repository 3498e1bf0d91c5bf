"""Everything that can go wrong, and one table of what it came to: ``python -m tests.faults``.

Exit code 1 when something did not hold. ``python -m tests.faults kills training tuning`` does a
part of it, ``--few`` only what `make test` has time for.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from tests.faults.chaos import whole_chaos
from tests.faults.every_kill import every_kill
from tests.faults.guard_table import GUARDS
from tests.faults.guards import take_out
from tests.faults.kills_in_jobs import every_job_kill
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.schedules import FEW, MANY, play, play_in_shares
from tests.faults.side_by_side import side_by_side
from tests.faults.table import Row, print_table

# Those that take the longest first: two of them are at work at a time.
PARTS = ("guards", "kills", "chaos", "jobs", "schedules")


def main() -> int:
    """Run the parts that are asked for, all by default; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    scenarios = [each.name for each in SCENARIOS]
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join((*PARTS, *scenarios)))
    parser.add_argument("--few", action="store_true", help="only what `make test` has time for")
    parser.add_argument("--seed", type=int, default=11, help="of the chaos (11)")
    parser.add_argument("--rows", type=Path, metavar="FILE", help="write the rows here, as JSON")
    asked = parser.parse_args()
    unknown = set(asked.parts) - {*PARTS, *scenarios}
    if unknown:
        parser.error(f"there are {', '.join((*PARTS, *scenarios))}, not {sorted(unknown)}")
    chosen = [each for each in SCENARIOS if each.name in asked.parts] or list(SCENARIOS)
    only_scenarios = {"kills"} if set(asked.parts) & set(scenarios) else set(PARTS)
    parts = set(asked.parts) & set(PARTS) or only_scenarios
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    began = time.monotonic()
    rows = _rows([part for part in PARTS if part in parts], chosen, asked)
    if asked.rows is not None:
        asked.rows.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")
    else:
        print_table(rows, seconds=time.monotonic() - began)
    return 1 if any(row.violations for row in rows) else 0


def _rows(
    parts: Sequence[str], chosen: Sequence[Scenario], asked: argparse.Namespace
) -> Sequence[Row]:
    if len(parts) > 1:
        seed = ("--seed", str(asked.seed))
        return side_by_side(parts, *seed, *(["--few"] if asked.few else []))
    run: dict[str, Callable[[], Sequence[Row]]] = {
        "kills": lambda: every_kill(chosen, few=asked.few),
        "jobs": lambda: every_job_kill(few=asked.few),
        "schedules": lambda: [play(FEW) if asked.few else play_in_shares(MANY)],
        "guards": lambda: [take_out(GUARDS)],
        "chaos": lambda: [whole_chaos(asked.seed)],
    }
    return run[parts[0]]()


if __name__ == "__main__":
    sys.exit(main())
