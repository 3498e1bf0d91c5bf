"""Do many transfers at a time: as many as the line rewards, within a number of bytes.

How many pay depends on what is far and what is slow. A store 20 ms away rewards dozens; one on
this machine shares its processors with us, and dozens only make it slower. So the width starts
small and doubles for as long as doubling moves clearly more files a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

# Each transfer has a connection and a file: this stays below 64 open files.
MOST_AT_A_TIME = 48
MOST_BYTES_AT_A_TIME = 32 * 2**20
_FIRST_WIDTH = 12
_WINDOW_SECONDS = 0.4
# Doubling must bring this much to be kept: where latency is what limits, it brings nearly 2.
_WORTH_IT = 1.25

Item = TypeVar("Item")
Result = TypeVar("Result")


class Width:
    """How many transfers to run at a time, found by trying."""

    def __init__(self, most: int, now: float) -> None:
        """Start narrow at the time ``now`` (seconds); never more than ``most``."""
        self.most = most
        self.value = min(_FIRST_WIDTH, most)
        self._settled = self.value == most
        self._since = now
        self._finished = 0
        self._best = 0.0
        self._narrower = self.value

    def finished(self, now: float) -> None:
        """Count one finished transfer; widen, stay, or go back one step and stay there."""
        self._finished += 1
        passed = now - self._since
        if self._settled or passed < _WINDOW_SECONDS or self._finished < 2 * self.value:
            return
        rate = self._finished / passed
        if rate < _WORTH_IT * self._best:
            self.value, self._settled = self._narrower, True
            return
        self._narrower, self._best = self.value, rate
        self._settled = self.value == self.most
        self.value = min(2 * self.value, self.most)
        self._since, self._finished = now, 0


def transfer(
    items: Sequence[Item],
    work: Callable[[Item], Result],
    size: Callable[[Item], int],
    *,
    most: int = MOST_AT_A_TIME,
) -> Iterator[tuple[Item, Result]]:
    """Call ``work`` on every item, several at a time; yield each with its result when it is done.

    Work that was begun is finished before an error leaves this function; nothing else is begun.

    Args:
        items: what to transfer; begun in this order.
        work: what to do with one; called in other threads.
        size: bytes that one holds in memory; larger ones wait until there is room.
        most: transfers at a time.

    Raises:
        Exception: the first that ``work`` raised.
    """
    running: dict[Future[Result], Item] = {}
    done: SimpleQueue[Future[Result]] = SimpleQueue()
    width, held, following = Width(most, time.monotonic()), 0, iter(items)
    waiting = next(following, None)
    with ThreadPoolExecutor(max_workers=most, thread_name_prefix="transfer") as pool:
        while running or waiting is not None:
            while waiting is not None and len(running) < width.value:
                if running and held + size(waiting) > MOST_BYTES_AT_A_TIME:
                    break
                held += size(waiting)
                future = pool.submit(work, waiting)
                running[future] = waiting
                future.add_done_callback(done.put)
                waiting = next(following, None)
            finished = done.get()
            item = running.pop(finished)
            held -= size(item)
            width.finished(time.monotonic())
            yield item, finished.result()
