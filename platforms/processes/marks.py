"""Find the processes that a supervisor started, also those that left its session (``setsid``).

Each has the supervisor's mark in its environment, as far as nobody cleared that. Beside it, Linux
can let a supervisor inherit what its descendants leave without a parent.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Collection
from contextlib import suppress

import psutil

MARK_VARIABLE = "SUPERVISOR_MARK"
_PR_SET_CHILD_SUBREAPER = 36
# New children may appear while the others are killed.
_ROUNDS = 20


def end_marked(mark: str) -> None:
    """Kill every process that bears a mark, but this one."""
    for _ in range(_ROUNDS):
        marked = [each for each in psutil.process_iter() if _bears(each, mark)]
        if not marked:
            return
        _kill(marked)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, wherever it moved to.

    Does nothing where that cannot be had (not Linux): then only marks tell.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children_now() -> frozenset[int]:
    """Return the ids of the children that this process has now."""
    return frozenset(each.pid for each in psutil.Process().children())


def end_adopted(but: Collection[int]) -> None:
    """Kill the children of this process, and theirs; ``but`` are not meant."""
    for _ in range(_ROUNDS):
        found = [each for each in psutil.Process().children() if each.pid not in but]
        running = [each for each in found if not is_over(each)]
        if not running:
            return
        below = []
        for each in running:
            with suppress(psutil.Error):
                below += each.children(recursive=True)
        _kill([*running, *below])


def _kill(processes: Collection[psutil.Process]) -> None:
    for each in processes:
        with suppress(psutil.Error):
            each.kill()
    psutil.wait_procs(processes, timeout=1.0)


def _bears(process: psutil.Process, mark: str) -> bool:
    if process.pid == os.getpid() or is_over(process):
        return False
    try:
        environment: dict[str, str] = process.environ()
    except (psutil.Error, OSError):  # It ended, or is somebody else's.
        return False
    return environment.get(MARK_VARIABLE) == mark


def is_over(process: psutil.Process) -> bool:
    """Tell whether a process has ended, perhaps without its parent having noticed."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True
