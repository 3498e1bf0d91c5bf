"""The parts of the profiler other than step phases: workers, operators, the machine."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any

import torch

from sm_entrypoints.contract import INSTRUMENTATION_FOLDER, SYSTEM_FOLDER, WORKERS_FILE
from sm_entrypoints.contract.cores import usable_cores
from sm_entrypoints.instrumentation.phases import TRAIN, StepRecorder
from sm_entrypoints.instrumentation.profiler.operators import OperatorWindow
from sm_entrypoints.instrumentation.profiler.sampler import SystemSampler
from sm_entrypoints.instrumentation.profiler.workers import Making, WorkerRecorder
from sm_entrypoints.job.containment import Containment
from sm_entrypoints.job.environment import Environment


class Profiler:
    """What :class:`Instrumentation` tells of a training's epochs, batches and steps, profiled.

    Without an interval (``DisableProfiler``) only the makings of batches are recorded.
    """

    def __init__(
        self, environment: Environment, steps: StepRecorder, *, interval_ms: int | None
    ) -> None:
        folder = environment.output_data_dir / INSTRUMENTATION_FOLDER
        self._steps = steps
        self._operators: OperatorWindow | None = None
        self._sampler: SystemSampler | None = None
        self._sampling = Containment("system sampler", on_failure=self._forget_sampler)
        self._workers = WorkerRecorder(folder / WORKERS_FILE, on_new_process=self._watch)
        if interval_ms is not None:
            self._operators = OperatorWindow(folder, steps)
            self._sampler = self._sampling.run(_started_sampler, environment, interval_ms)

    def schedule(self, steps_per_epoch: int, epochs: int) -> None:
        """Say how many training steps and epochs are to come."""
        if self._operators is not None:
            self._operators.schedule(steps_per_epoch, epochs)

    def begin_epoch(self, mode: str) -> None:
        """Note the begin of an epoch in ``mode``."""
        if self._operators is not None:
            self._operators.begin_epoch(training=mode == TRAIN)

    def annotate(
        self, name: str, timer: AbstractContextManager[None]
    ) -> AbstractContextManager[None]:
        """Return the timer of a phase, with a span of the trace around it while there is one."""
        return timer if self._operators is None else self._operators.annotate(name, timer)

    def note_batch(self, making: Making, samples: int) -> None:
        """Record how the batch of the coming step was made."""
        self._workers.write(making, samples, self._steps.mode)

    def after_step(self, seconds: float, *, watched: bool) -> None:
        """Note the end of a step; ``watched``: the next one's tensors will be sampled."""
        if self._operators is not None and self._steps.mode == TRAIN:
            self._operators.after_step(seconds, watched=watched)

    def close(self) -> None:
        """Stop sampling and profiling, and flush the files.

        Raises:
            OSError: ``workers.csv`` cannot be written; all else is closed by then.
        """
        if self._operators is not None:
            self._operators.close()
        if self._sampler is not None:
            self._sampling.run(self._sampler.stop)
        self._workers.close()

    def summary(self) -> dict[str, Any]:
        """Return our members of ``summary.json``."""
        operators, sampler = self._operators, self._sampler
        return {
            "system": None if sampler is None else self._sampling.run(sampler.summary),
            "process": None if sampler is None else self._sampling.run(sampler.process_summary),
            "operators": None if operators is None else operators.summary(),
            "workers": self._workers.training_workers,
            "cores": usable_cores(),
            "threads": torch.get_num_threads(),
            "load_average": os.getloadavg()[0],
        }

    def failures(self) -> dict[str, str | None]:
        """Return what went wrong, by part."""
        sampler = self._sampler
        return {
            "torch.profiler": None if self._operators is None else self._operators.failure,
            "system sampler": self._sampling.failure or (sampler.failure if sampler else None),
            "GPU sampling": None if sampler is None else sampler.gpu_failure,
        }

    def _watch(self, pid: int) -> None:
        if self._sampler is not None:
            self._sampling.run(self._sampler.watch, pid)

    def _forget_sampler(self) -> None:
        sampler, self._sampler = self._sampler, None
        if sampler is not None:
            sampler.stop()


def _started_sampler(environment: Environment, interval_ms: int) -> SystemSampler:
    folder, node = environment.output_data_dir / SYSTEM_FOLDER, environment.current_host
    sampler = SystemSampler(folder, node=node, interval_ms=interval_ms)
    sampler.start()
    return sampler
