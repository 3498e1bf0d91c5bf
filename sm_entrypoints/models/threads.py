"""How many threads one picture is worth: a short probe, since more are not always faster.

Between the layers of a small network threads wait for each other. Where they sleep meanwhile, as
the local platform has it so that several programs get on with each other, waking them takes longer
than what they save: one thread labels a picture in half the time of two (docs/benchmarks.md).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from sm_entrypoints.models.fusion import laid_out

# A second thread takes a core from others: it must save a fifth of the time.
_WORTH = 0.8
_ROUNDS, _SECONDS = 6, 0.5


def threads_for_one(network: nn.Module, image_size: int) -> int:
    """Return with how many threads a network for the CPU labels one picture fast: one, or all.

    Takes half a second, or two pictures of a network that takes longer. The best time of each
    counts: what disturbs a measurement only ever makes it longer.
    """
    every = torch.get_num_threads()
    if every == 1:
        return 1
    picture = laid_out(torch.zeros(1, 3, image_size, image_size))
    best = dict.fromkeys((1, every), float("inf"))
    end = time.perf_counter() + _SECONDS
    for _ in range(_ROUNDS):
        for count in best:
            begun = time.perf_counter()
            with threads(count), torch.inference_mode():
                network(picture)
            best[count] = min(best[count], time.perf_counter() - begun)
        if time.perf_counter() >= end:
            break
    return every if best[every] < _WORTH * best[1] else 1


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch use so many threads for what this thread asks of it, until the block ends."""
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
