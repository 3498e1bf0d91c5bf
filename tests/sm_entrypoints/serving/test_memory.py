"""All threads of a server take their memory from one place, unless somebody said otherwise."""

from __future__ import annotations

import platform
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
# Four threads hold memory at a time; then glibc lists its arenas.
PROGRAM = """
import ctypes, os, sys, threading
from sm_entrypoints.serving.memory import give_back, keep_together
keep_together()
meet = threading.Barrier(4)
def hold():
    held = bytes(100_000)
    meet.wait()
threads = [threading.Thread(target=hold) for _ in range(4)]
for each in threads: each.start()
for each in threads: each.join()
give_back()
libc = ctypes.CDLL(None)
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc alone has arenas")
@pytest.mark.parametrize(("variables", "alone"), [({}, True), ({"MALLOC_ARENA_MAX": "4"}, False)])
def test_threads_share_one_arena(variables: dict[str, str], *, alone: bool) -> None:
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=PROJECT,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    arenas = found.count("<heap nr=")
    assert (arenas == 1) is alone, found
