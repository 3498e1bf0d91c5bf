"""Do many transfers at a time: as many as the line rewards, within a number of bytes.

How many pay depends on what is far and what is slow. A store in another region rewards dozens; one
on this machine shares its processors with us, and more only make it slower. So the width starts in
the middle and doubles for as long as doubling moves clearly more files a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from threading import Condition
from typing import Generic, TypeVar

# Each transfer has a connection and a file: this stays below 64 open files.
MOST_AT_A_TIME = 48
MOST_BYTES_AT_A_TIME = 32 * 2**20
# Enough to keep two processors busy with a store 20 ms away; costs one on this machine 3 %.
_FIRST_WIDTH = 24
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


class _Crew(Generic[Item, Result]):
    """Threads that take one item after the other, and how many of them there are to be."""

    def __init__(
        self,
        items: Sequence[Item],
        work: Callable[[Item], Result],
        size: Callable[[Item], int],
        width: Width,
    ) -> None:
        self.done: SimpleQueue[tuple[Item, Result] | None] = SimpleQueue()
        self.alive = 0
        self._items, self._work, self._size, self._width = iter(items), work, size, width
        self._waiting = next(self._items, None)
        self._held = 0
        self._changed = Condition()

    def member(self) -> None:
        """Work until nothing is left, there are too many of us, or one failed."""
        try:
            while (item := self._take()) is not None:
                result = self._work(item)
                self._give_back(item)
                self.done.put((item, result))
        except BaseException:
            self.stop()
            raise
        finally:
            self.done.put(None)

    def stop(self) -> None:
        """Begin nothing else."""
        with self._changed:
            self._waiting = None
            self._changed.notify_all()

    def _take(self) -> Item | None:
        with self._changed:
            while self._waiting is not None and self.alive <= self._width.value:
                needed = self._size(self._waiting)
                if self._held == 0 or self._held + needed <= MOST_BYTES_AT_A_TIME:
                    item, self._waiting = self._waiting, next(self._items, None)
                    self._held += needed
                    return item
                self._changed.wait()
            self.alive -= 1
            return None

    def _give_back(self, item: Item) -> None:
        with self._changed:
            self._held -= self._size(item)
            self._changed.notify_all()

    def recruits(self) -> int:
        """Return how many are to be added; they count from now on."""
        with self._changed:
            wanted = self._width.value if self._waiting is not None else 0
            missing = max(0, wanted - self.alive)
            self.alive += missing
            return missing


def transfer(
    items: Sequence[Item],
    work: Callable[[Item], Result],
    size: Callable[[Item], int],
    *,
    most: int = MOST_AT_A_TIME,
) -> Iterator[tuple[Item, Result]]:
    """Call ``work`` on every item, several at a time; yield each with its result when it is done.

    Work goes on while the caller looks at a result. Work that was begun is finished before an error
    leaves this function, or before it is closed; nothing else is begun.

    Args:
        items: what to transfer; begun in this order. None is no item.
        work: what to do with one; called in other threads.
        size: bytes that one holds in memory; larger ones wait until there is room.
        most: transfers at a time.

    Raises:
        Exception: the first that ``work`` raised.
    """
    width = Width(most, time.monotonic())
    crew = _Crew(items, work, size, width)
    members: list[Future[None]] = []
    with ThreadPoolExecutor(max_workers=most, thread_name_prefix="transfer") as pool:
        try:
            ended = 0
            while True:
                members += [pool.submit(crew.member) for _ in range(crew.recruits())]
                if ended == len(members):
                    break
                finished = crew.done.get()
                if finished is None:
                    ended += 1
                    continue
                width.finished(time.monotonic())
                yield finished
        finally:
            crew.stop()
    for member in members:
        member.result()
