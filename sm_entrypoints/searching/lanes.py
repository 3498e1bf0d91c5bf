"""Work done side by side, each piece by as few threads as keep all busy.

Several threads that share a small step wait for each other after each of its operations. Where
there are as many steps as threads, each thread takes one whole, and none of them waits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager

import torch

from sm_entrypoints.models.threads import threads


class Lanes:
    """As many pieces of work at a time as there are threads; see :func:`lanes`."""

    def __init__(self, pool: ThreadPoolExecutor | None, count: int) -> None:
        self._pool = pool
        self.count = count

    def run(self, pieces: Sequence[Callable[[], None]]) -> None:
        """Do all pieces, which must not draw from torch's random state; return when all are done.

        Raises what the first of the failed ones raised.
        """
        if self._pool is None or len(pieces) < 2:
            for piece in pieces:
                piece()
            return
        share = max(1, self.count // len(pieces))
        with threads(share):
            started = [self._pool.submit(_by, share, piece) for piece in pieces]
            wait(started)
        for each in started:
            each.result()


@contextmanager
def lanes(count: int) -> Iterator[Lanes]:
    """Give ``count`` lanes until the block ends; one is the thread of the caller itself."""
    if count < 2:
        yield Lanes(None, 1)
        return
    with ThreadPoolExecutor(count, thread_name_prefix="lane") as pool:
        yield Lanes(pool, count)


def _by(share: int, piece: Callable[[], None]) -> None:
    torch.set_num_threads(share)  # of this lane
    piece()
