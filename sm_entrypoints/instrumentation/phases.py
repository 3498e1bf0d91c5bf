"""Where the time of each step goes: one row of ``steps.csv`` per step.

It reads the clock once per phase edge. Times are wall times as the host sees them. On a GPU,
kernels run asynchronously, so their time shows in the phase that waits for them (usually
``optimizer`` or ``transfer``).
"""

from __future__ import annotations

import time
from array import array
from pathlib import Path

import numpy as np

from sm_entrypoints.contract import STEP_COLUMNS, STEP_PHASES, TAIL_ALONE, WHOLE_NETWORK
from sm_entrypoints.instrumentation.line_writer import LineWriter

TRAIN = "TRAIN"
EVAL = "EVAL"
MODES = (TRAIN, EVAL)


class Phase:
    """Time one phase of the current step; entering it again in the same step adds up."""

    __slots__ = ("_began", "_index", "_recorder")

    def __init__(self, recorder: StepRecorder, index: int) -> None:
        self._recorder = recorder
        self._index = index
        self._began = 0.0

    def __enter__(self) -> None:
        if not self._recorder.started:
            self._recorder.started = time.time()
        self._began = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._recorder.seconds[self._index] += time.perf_counter() - self._began


class StepRecorder:
    """Count steps and their phases, and stream them to a CSV with ``contract.STEP_COLUMNS``.

    Steps are numbered from 0 in each mode, as smdebug numbers them. Memory grows by 8 bytes a
    training step (kept for the percentiles of the summary).

    Args:
        path: where the rows go.
        network: what runs in the steps, ``contract.WHOLE_NETWORK`` or ``TAIL_ALONE``; it may be
            set between two epochs.
    """

    def __init__(self, path: Path, *, network: str = WHOLE_NETWORK) -> None:
        self._writer = LineWriter(path, header=",".join(STEP_COLUMNS))
        self._phases = {name: Phase(self, index) for index, name in enumerate(STEP_PHASES)}
        self._train_seconds = {name: array("d") for name in (WHOLE_NETWORK, TAIL_ALONE)}
        self._tail_steps = dict.fromkeys(MODES, 0)
        self.network = network
        self._totals = {mode: [0.0] * len(STEP_PHASES) for mode in MODES}
        self.counts = dict.fromkeys(MODES, 0)
        self.mode = TRAIN
        self.epoch = 0
        self.started = 0.0
        self.seconds = [0.0] * len(STEP_PHASES)

    def begin_epoch(self, epoch: int, mode: str) -> None:
        """Say which epoch and mode the following steps belong to; drops a step left unfinished.

        Raises:
            ValueError: ``mode`` is neither TRAIN nor EVAL.
        """
        if mode not in MODES:
            raise ValueError(f"unknown mode {mode!r}; known: {list(MODES)}")
        self.epoch, self.mode = epoch, mode
        self._reset()

    def phase(self, name: str) -> Phase:
        """Return the timer of one of ``contract.STEP_PHASES``; KeyError for any other name."""
        return self._phases[name]

    def exclude(self, name: str, seconds: float) -> None:
        """Subtract ``seconds`` of our own measuring from a phase of the current step."""
        index = STEP_PHASES.index(name)
        self.seconds[index] = max(0.0, self.seconds[index] - seconds)

    def end_step(self, samples: int) -> float:
        """Write the current step's row and start the next step; return its seconds."""
        total = sum(self.seconds)
        for index, seconds in enumerate(self.seconds):
            self._totals[self.mode][index] += seconds
        if self.mode == TRAIN:
            self._train_seconds[self.network].append(total)
        phases = ",".join(f"{seconds:.6f}" for seconds in self.seconds)
        started = self.started or time.time()
        step = self.counts[self.mode]
        self._writer.write(
            f"{step},{self.epoch},{self.mode},{started:.6f},{phases},{samples},{self.network}"
        )
        self.counts[self.mode] += 1
        self._tail_steps[self.mode] += self.network == TAIL_ALONE
        self._reset()
        return total

    def close(self) -> None:
        """Flush the file."""
        self._writer.close()

    def summary(self) -> dict[str, object]:
        """Return the steps, phase seconds and training step percentiles of ``summary.json``.

        ``steps`` and ``phase_seconds`` are of all steps, ``step_seconds`` of those that ran the
        whole network; ``tail_steps`` and ``tail_step_seconds`` are of the others.
        """
        return {
            "steps": dict(self.counts),
            "phase_seconds": {
                mode: dict(zip(STEP_PHASES, totals, strict=True))
                for mode, totals in self._totals.items()
            },
            "step_seconds": self._percentiles(WHOLE_NETWORK),
            "tail_steps": dict(self._tail_steps),
            "tail_step_seconds": self._percentiles(TAIL_ALONE),
        }

    @property
    def typical_seconds(self) -> float:
        """The median of the training steps so far that ran what runs now, 0 before the first."""
        seconds = self._train_seconds[self.network]
        return float(np.median(seconds)) if seconds else 0.0

    def _percentiles(self, network: str) -> dict[str, float | None]:
        seconds = self._train_seconds[network]
        shares = {"p50": 50, "p95": 95, "p99": 99, "max": 100}
        if not seconds:
            return dict.fromkeys(shares)
        return dict(zip(shares, np.percentile(seconds, [*shares.values()]).tolist(), strict=True))

    def _reset(self) -> None:
        self.started = 0.0
        self.seconds = [0.0] * len(STEP_PHASES)
