"""Everything that can go wrong, and one table of what it came to: ``python -m tests.faults``.

Exit code 1 when something did not hold. ``python -m tests.faults kills training tuning`` does a
part of it, ``--few`` only what `make test` has time for.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.faults.every_kill import every_kill
from tests.faults.guard_table import GUARDS
from tests.faults.guards import take_out
from tests.faults.kills_in_jobs import every_job_kill
from tests.faults.scenarios import SCENARIOS
from tests.faults.schedules import FEW, MANY, play, play_in_shares
from tests.faults.table import Row, print_table

PARTS = ("kills", "jobs", "schedules", "guards")


def main() -> int:
    """Run the parts that are asked for, all by default; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    scenarios = [each.name for each in SCENARIOS]
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join((*PARTS, *scenarios)))
    parser.add_argument("--few", action="store_true", help="only what `make test` has time for")
    asked = parser.parse_args()
    unknown = set(asked.parts) - {*PARTS, *scenarios}
    if unknown:
        parser.error(f"there are {', '.join((*PARTS, *scenarios))}, not {sorted(unknown)}")
    chosen = [each for each in SCENARIOS if each.name in asked.parts] or list(SCENARIOS)
    only_scenarios = {"kills"} if set(asked.parts) & set(scenarios) else set(PARTS)
    parts = set(asked.parts) & set(PARTS) or only_scenarios
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    rows: list[Row] = []
    began = time.monotonic()
    if "kills" in parts:
        rows += every_kill(chosen, few=asked.few)
    if "jobs" in parts:
        rows += every_job_kill(few=asked.few)
    if "schedules" in parts:
        rows.append(play(FEW) if asked.few else play_in_shares(MANY))
    if "guards" in parts:
        rows.append(take_out(GUARDS))
    print_table(rows, seconds=time.monotonic() - began)
    return 1 if any(row.violations for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
