"""Which process made each batch, when, and how long it took.

One row of ``workers.csv`` per batch. The process that makes a batch measures (:class:`Making`
travels with the batch) and the training process writes, so a row costs a clock read in the former
and a formatted line in the latter.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sm_entrypoints.contract import WORKER_COLUMNS
from sm_entrypoints.instrumentation.line_writer import LineWriter
from sm_entrypoints.instrumentation.phases import TRAIN


class Making(NamedTuple):
    """How a batch came about; ``started`` in unix seconds, ``pid`` that of the making process."""

    pid: int
    started: float
    seconds: float

    @classmethod
    def since(cls, started: float, began: float) -> Making:
        """Return a making by this process that ends now.

        Args:
            started: ``time.time()`` when it began.
            began: ``time.perf_counter()`` at the same moment.
        """
        return cls(os.getpid(), started, time.perf_counter() - began)


class WorkerRecorder:
    """Stream the batches' makings to a CSV with ``contract.WORKER_COLUMNS``.

    With no worker processes the rows carry the training process's own pid. ``on_new_process`` is
    called once with the pid of every other process.
    """

    def __init__(self, path: Path, *, on_new_process: Callable[[int], None]) -> None:
        self._writer = LineWriter(path, header=",".join(WORKER_COLUMNS))
        self._on_new_process = on_new_process
        self._known = {os.getpid()}
        self._training: set[int] = set()

    @property
    def training_workers(self) -> int:
        """How many processes other than this one made batches to learn from."""
        return len(self._training)

    def write(self, making: Making, samples: int, mode: str) -> None:
        """Write the row of one batch of ``samples`` images, used in ``mode`` (TRAIN or EVAL)."""
        if making.pid not in self._known:
            self._known.add(making.pid)
            if mode == TRAIN:
                self._training.add(making.pid)
            self._on_new_process(making.pid)
        self._writer.write(f"{making.pid},{making.started:.6f},{making.seconds:.6f},{samples}")

    def close(self) -> None:
        """Flush the file."""
        self._writer.close()
