"""Safeguards, one by one: each is taken out of a copy of the source, and a test has to notice.

A guard that no test misses is no guard: sooner or later somebody tidies it away.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.faults.guard_table import GUARDS, Guard
from tests.faults.table import Row

ROOT = Path(__file__).parents[2]
_AT_A_TIME = 2
_SECONDS = 400
# Whatever a test waits for without its guard does not come: it need not wait long for that.
_PATIENCE = {"TEST_PATIENCE": "25"}


def take_out(guards: Sequence[Guard]) -> Row:
    """Take each guard out and run its test; print the guards that nobody missed."""
    began = time.monotonic()
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        problems = list(pool.map(_problem, guards))
    for guard, problem in zip(guards, problems, strict=True):
        if problem is not None:
            print(f"guard: {guard.name}: {problem}")
    return Row(
        part="guards",
        guards=len(guards),
        mutants=len(guards),
        violations=sum(problem is not None for problem in problems),
        seconds=time.monotonic() - began,
    )


def out_of_date(guards: Sequence[Guard] = GUARDS) -> list[str]:
    """Return the guards whose edit does not fit their file, or whose test is not there."""
    found = []
    for guard in guards:
        count = (ROOT / guard.file).read_text("utf-8").count(guard.before)
        if count != 1:
            found.append(f"{guard.name}: {count} x its text in {guard.file}")
        if not (ROOT / guard.test[0]).is_file():
            found.append(f"{guard.name}: no {guard.test[0]}")
    return found


def _problem(guard: Guard) -> str | None:
    """Say what is wrong with a guard; None: its test notices that it is gone."""
    with _copy() as root:
        file = root / guard.file
        whole = file.read_text("utf-8")
        if whole.count(guard.before) != 1:
            return f"its text is not once in {guard.file}"
        file.write_text(whole.replace(guard.before, guard.after), "utf-8")
        try:
            code = _run(root, guard.test)
        finally:
            _end_what_is_left(root)
    # 1 is pytest's code for tests that failed; anything else says nothing about the guard.
    return None if code == 1 else f"pytest {' '.join(guard.test)} ended with {code}"


def _run(root: Path, test: Sequence[str]) -> int:
    in_job = test[0].startswith("tests/sm_entrypoints/")
    python = root / ".venv-job/bin/python" if in_job else sys.executable
    own = ["-p", "no:cacheprovider", f"--basetemp={root / 'worlds'}"]
    command = [str(python), "-m", "pytest", "-q", "-x", *own, *test]
    try:
        return subprocess.run(
            command,
            cwd=root,
            env={**os.environ, **_PATIENCE},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SECONDS,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return 1  # what waits for ever has noticed, too


def _end_what_is_left(root: Path) -> None:
    """Kill what a test without its guard left at work in a world of its own."""
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if any(str(root) in word for word in [*process.cmdline(), process.cwd()]):
                process.kill()


@contextmanager
def _copy() -> Iterator[Path]:
    """Give a copy of the tracked tree, with the environments of this one."""
    listed = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT)
    with tempfile.TemporaryDirectory(prefix="whippet-guards-") as folder:
        root = Path(folder)
        for name in listed.decode().splitlines():
            if (ROOT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, root / name)
        for name in (".venv", ".venv-job"):
            (root / name).symlink_to((ROOT / name).resolve())
        yield root
