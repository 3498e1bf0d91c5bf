"""The whole of ``whippet chaos``: two real runs, one of them harmed."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.faults.table import Row
from tests.worlds.pipeline import ROOT

_KILLS = 5
_SECONDS = 900


def whole_chaos(seed: int) -> Row:
    """Kill a real run's processes at the moments of a seed; print where the page of it is, and what
    did not come right.
    """
    began = time.monotonic()
    page = Path(tempfile.gettempdir(), f"whippet-chaos-seed-{seed}.html")
    page.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="whippet-chaos-") as home:
        command = [sys.executable, "-m", "cli.main", "chaos", "--seed", str(seed)]
        ended = subprocess.run(
            [*command, "--kills", str(_KILLS), "--seconds", str(_SECONDS), "--page", str(page)],
            cwd=ROOT,
            env={**os.environ, "WHIPPET_HOME": home},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        problems = list(_problems(ended, page, Path(home)))
    print(f"chaos: page: {page}")
    for problem in problems:
        print(f"chaos: {problem}")
    if problems:
        print(ended.stdout + ended.stderr)
    return Row(
        part=f"chaos, seed {seed}",
        boundaries=_KILLS,
        schedules=1,
        violations=len(problems),
        seconds=time.monotonic() - began,
    )


def _problems(ended: subprocess.CompletedProcess[str], page: Path, home: Path) -> Iterator[str]:
    """Yield what is not as it should be: in what was printed, on the page, in the home."""
    yield from (line for line in ended.stdout.splitlines() if line.startswith("NO "))
    if ended.returncode != 0:
        yield f"exit code {ended.returncode}"
    if not page.is_file() or "The run ended right." not in page.read_text(encoding="utf-8"):
        yield "no page says that the run ended right"
    if list(home.glob("chaos/*/home")):
        yield "the home of the runs was left behind"
