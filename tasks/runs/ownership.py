"""Who is at work on a run: one process at a time, and everybody can see whether it still lives.

A process that works on a run holds a lock in the run's folder, which the kernel releases when it
ends for any reason. So a second copy of a run on this machine (restarted too early, or resumed
while it goes on) waits until the first has ended, and a run whose process was killed is known to be
dead at once, without waiting for signs of life. It says nothing of processes on other machines.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from platforms import Settings
from platforms.locks import held_if_free, kept_if_free
from tasks.runs.names import RunIdentity
from tasks.runs.record import every_run, finish, read_run, record, run_folder
from tasks.runs.record_model import RunFacts

_LOCK_FILE = ".owner.lock"
_ENDED = ("crashed", "failed", "cancelled")
DEAD = "Its process ended without a word."

# Locks that this process holds until it ends: subflows and tasks share them.
_OURS: set[Path] = set()
_GUARD = threading.Lock()


def take(settings: Settings, run: RunIdentity, wait: Callable[[], None]) -> None:
    """Be the one that works on a run until this process ends; its record says that it runs.

    While another process is at it, ``wait`` is called again and again; it may raise.
    """
    path = run_folder(settings, run.name) / _LOCK_FILE
    with _GUARD:
        if path in _OURS:
            return
    while not kept_if_free(path, f"{os.getpid()}\n".encode()):
        wait()
    with _GUARD:
        _OURS.add(path)
    if read_run(settings, run.name).status in _ENDED:
        record(settings, run, RunFacts(status="running", ended=None, error=None))


def at_work(settings: Settings, name: str) -> bool | None:
    """Say whether a process of this machine works on a run; None when none ever did."""
    path = run_folder(settings, name) / _LOCK_FILE
    with _GUARD:
        if path in _OURS:
            return True
    if not path.exists():
        return None
    with held_if_free(path) as free:
        return not free


def owner(settings: Settings, name: str) -> int | None:
    """Return the process id of who works on a run, None when nobody of this machine does."""
    if not at_work(settings, name):
        return None
    with suppress(OSError, ValueError):
        return int((run_folder(settings, name) / _LOCK_FILE).read_text("ascii"))
    return None


def note_dead_runs(settings: Settings) -> list[str]:
    """Write down that runs crashed whose record says that they run, but whose process is gone;
    return their names.
    """
    dead = []
    for run_record in every_run(settings):
        if run_record.status == "running" and at_work(settings, run_record.name) is False:
            finish(settings, run_record.identity, "crashed", DEAD)
            dead.append(run_record.name)
    return sorted(dead)
