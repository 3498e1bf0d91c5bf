"""A place for what takes long, so that nothing else waits for it.

Whoever sends large pictures waits for those of others that are large, too; small ones pass them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from sm_entrypoints.contract.cores import usable_cores
from sm_entrypoints.serving.memory import give_back

# Giving memory back takes some milliseconds.
_TRIM_SECONDS = 1.0


class HeavyLane:
    """Threads, one fewer than there are processors so that one is left, and a bounded queue.

    Their priority is not lower: beside other programs a lone large picture would wait for ever.

    Args:
        most: tasks that may be at work or wait.
    """

    def __init__(self, most: int) -> None:
        self._most = max(1, most)
        self._inside = 0
        self._lock = threading.Lock()
        self._trimmed = 0.0
        self._threads = ThreadPoolExecutor(max(1, usable_cores() - 1), thread_name_prefix="heavy")

    def take(self, task: Callable[[], None]) -> bool:
        """Run a task as soon as it is its turn; False, and nothing happens, where all is taken."""
        with self._lock:
            if self._inside >= self._most:
                return False
            self._inside += 1
        self._threads.submit(self._run, task)
        return True

    def _run(self, task: Callable[[], None]) -> None:
        try:
            task()
        finally:
            self._give_back()

    def _give_back(self) -> None:
        """Make room for the next task; the allocator would keep the memory of this one."""
        with self._lock:
            self._inside -= 1
            now = time.monotonic()
            due = self._inside == 0 or now - self._trimmed >= _TRIM_SECONDS
            self._trimmed = now if due else self._trimmed
        if due:
            give_back()
