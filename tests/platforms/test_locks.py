from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from platforms.locks import held, held_if_free

ROOT = Path(__file__).resolve().parents[2]
HOLDER = """
import sys, time
from pathlib import Path
from platforms.locks import held
with held(Path(sys.argv[1]), make_folder=True):
    print("ready", flush=True)
    time.sleep(600)
"""


def hold(path: Path) -> subprocess.Popen[str]:
    """Start a process that holds a lock; return once it does."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def waiter(path: Path, inside: threading.Event) -> threading.Thread:
    """Start a thread that takes a lock as soon as it can."""

    def enter() -> None:
        with held(path, make_folder=True):
            inside.set()

    thread = threading.Thread(target=enter)
    thread.start()
    return thread


def test_a_lock_excludes_other_processes_until_kill_9(awkward_path):
    lock, inside = awkward_path / "sub" / ".lock", threading.Event()
    holder = hold(lock)
    thread = waiter(lock, inside)
    try:
        assert not inside.wait(0.3)
        with held_if_free(lock) as free:
            assert not free
    finally:
        end(holder)
        thread.join()
    assert inside.is_set()
    with held_if_free(lock) as free:
        assert free


def test_shared_locks_exclude_only_the_other_kind(awkward_path):
    lock = awkward_path / ".lock"
    with held(lock, shared=True), held(lock, shared=True), held_if_free(lock) as free:
        assert not free


@pytest.mark.slow
def test_who_waited_for_a_lock_that_was_replaced_holds_the_new_one(awkward_path):
    lock, inside = awkward_path / ".lock", threading.Event()
    old = hold(lock)
    thread = waiter(lock, inside)
    assert not inside.wait(0.3)  # by now it waits for the first one
    lock.unlink()
    new = hold(lock)
    try:
        end(old)
        assert not inside.wait(0.3)
    finally:
        end(new)
        thread.join()
    assert inside.is_set()


def test_a_folder_that_is_not_there_is_made_only_when_asked(awkward_path):
    with pytest.raises(FileNotFoundError), held(awkward_path / "gone" / ".lock"):
        pass
    assert list(awkward_path.iterdir()) == []
