"""The parts of the tests of faults, two at a time: each mostly waits for what it starts."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.faults.table import Row
from tests.worlds.pipeline import ROOT

_AT_A_TIME = 2


def side_by_side(parts: Sequence[str], *options: str) -> list[Row]:
    """Run each part as a program of its own, and return the rows of all in the order of the parts.

    A program, for a part forks what it kills, which no process with threads may do. A part that
    ends without rows is a row with a violation.
    """
    with tempfile.TemporaryDirectory(prefix="whippet-fault-rows-") as folder:
        run = partial(_rows, Path(folder), options)
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            return [row for rows in pool.map(run, parts) for row in rows]


def _rows(folder: Path, options: Sequence[str], part: str) -> list[Row]:
    file = folder / part
    command = [sys.executable, "-m", "tests.faults", part, "--rows", str(file), *options]
    code = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False).returncode
    if not file.is_file():
        print(f"{part}: ended with {code}, before it came to an end")
        return [Row(part=part, violations=1)]
    return [Row(**row) for row in json.loads(file.read_text("utf-8"))]
