"""A short window of ``torch.profiler``: the time per operator, and a trace.

Profiling all steps slows a training down and fills the disk; a few typical steps tell as much. The
window lies in the second epoch (in the middle of the only one), between the steps whose tensors are
sampled, and is one to three steps long: as many as keep the total cost within ``SHARE`` of the
training. A training too short for that still gets one step.
"""

from __future__ import annotations

import gzip
import json
import os
import time
import warnings
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from torch.autograd.profiler import record_function
from torch.profiler import ProfilerActivity, profile

from sm_entrypoints.contract import OPERATORS_FILE, TRACE_FILE
from sm_entrypoints.contract.files import replacing, write_text
from sm_entrypoints.instrumentation.phases import TRAIN, StepRecorder
from sm_entrypoints.instrumentation.profiler.operator_table import operators, operators_csv
from sm_entrypoints.job.containment import Containment

SHARE = 0.01
MOST_STEPS = 3
MOST_TRACE_BYTES = 20_000_000
# What a window costs beside the training's own steps, in seconds: measured with mobilenet_v2 (3,400
# events a step) by benchmarks/instrumentation_profiler.py.
_FIXED_SECONDS, _STEP_SECONDS = 0.03, 0.07
# The first steps of a process are slow: memory is allocated and kernels are chosen.
_WARM_UP_STEPS = 10
# Kineto reports every start and stop on stderr, and the missing GPU as an error.
_SILENT = "99"


class OperatorWindow:
    """Profile a few steps once. No method raises; ``failure`` says what switched it off.

    Call :meth:`schedule` once, :meth:`begin_epoch` and :meth:`after_step` during the training
    (training steps only), and :meth:`close` at the end, also after an error.
    """

    def __init__(self, folder: Path, steps: StepRecorder) -> None:
        self._folder = folder
        self._steps = steps
        self._containment = Containment("torch.profiler", on_failure=self._abandon)
        self._steps_per_epoch, self._epochs = 0, 0
        self._epoch, self._in_epoch = 0, 0
        self._profile: profile | None = None
        self._mark = ExitStack()  # around the current step
        self._first, self._wanted, self._taken = 0, 0, 0
        self._typical = 0.0
        self._done = False
        self._trace_bytes = 0
        self.overhead_seconds = 0.0

    @property
    def failure(self) -> str | None:
        """What went wrong, if something did."""
        return self._containment.failure

    @property
    def active(self) -> bool:
        """Whether the current step is being profiled."""
        return self._profile is not None

    def schedule(self, steps_per_epoch: int, epochs: int) -> None:
        """Say how long the training will be; without it there is no window."""
        self._steps_per_epoch, self._epochs = steps_per_epoch, epochs

    def begin_epoch(self, *, training: bool) -> None:
        """Note that an epoch of training or of validation begins; a window ends with its epoch."""
        if self.active:
            self._containment.run(self._finish)
        if training:
            self._epoch += 1
            self._in_epoch = 0

    def annotate(
        self, name: str, timer: AbstractContextManager[None]
    ) -> AbstractContextManager[None]:
        """Return ``timer``, inside the window with a span called ``name`` around it."""
        return timer if self._profile is None else _Annotated(name, timer, self._containment)

    def after_step(self, seconds: float, *, watched: bool) -> None:
        """Note the end of a training step that took ``seconds``; may start or end the window.

        ``watched``: whether tensors of the next step will be sampled; that step is not profiled.
        """
        self._in_epoch += 1
        if self._done:
            return
        if self._profile is not None:
            self._containment.run(self._end_step, seconds, watched)
        elif not watched and self._is_time():
            self._containment.run(self._start)

    def close(self) -> None:
        """End the window, if it is open: with a whole step in it, its files are written."""
        if self.active:
            self._containment.run(self._finish)

    def summary(self) -> dict[str, Any] | None:
        """Return the ``operators`` member of ``summary.json``; None when nothing was profiled."""
        if not self._done or not self._taken:
            return None
        return {
            "steps": self._taken,
            "window": [self._first, self._first + self._taken - 1],
            "overhead_seconds": self.overhead_seconds,
            "trace_bytes": self._trace_bytes,
        }

    def _is_time(self) -> bool:
        if self._epochs < 2:
            ready = self._in_epoch >= min(_WARM_UP_STEPS, self._steps_per_epoch // 2)
        else:
            ready = self._epoch >= 2
        return ready and 0 < self._in_epoch < self._steps_per_epoch

    def _start(self) -> None:
        began = time.perf_counter()
        if torch.autograd._profiler_enabled():  # type: ignore[attr-defined]
            # Kineto would cancel the trace of whoever runs it, without a word to them.
            raise RuntimeError("another profiler is running")
        self._first, self._typical = self._steps.counts[TRAIN], self._steps.typical_seconds
        budget = SHARE * self._typical * self._steps_per_epoch * self._epochs
        affordable = int((budget - _FIXED_SECONDS) / _STEP_SECONDS)
        self._wanted = min(MOST_STEPS, max(1, affordable))
        # Read by libkineto's C++ when it is first used; somebody's own setting stays.
        os.environ.setdefault("KINETO_LOG_LEVEL", _SILENT)
        activities = [ProfilerActivity.CPU]
        if torch.cuda.is_available():
            activities.append(ProfilerActivity.CUDA)
        started = profile(activities=activities, acc_events=False)
        with warnings.catch_warnings():
            # torch 2.11 warns that cycles do not add up; there is one.
            warnings.filterwarnings("ignore", ".*Profiler clears events")
            started.start()
        self._profile = started
        self._mark_step()
        self.overhead_seconds += time.perf_counter() - began

    def _mark_step(self) -> None:
        step = record_function(f"ProfilerStep#{self._first + self._taken}")
        self._mark.enter_context(step)

    def _end_step(self, seconds: float, watched: bool) -> None:
        self._mark.close()
        self._taken += 1
        self.overhead_seconds += max(0.0, seconds - self._typical)
        if self._taken >= self._wanted or watched or self._in_epoch >= self._steps_per_epoch:
            self._finish()
        else:
            self._mark_step()

    def _finish(self) -> None:
        began = time.perf_counter()
        self._done = True
        self._mark.close()
        if self._profile is None:
            return
        self._profile.stop()
        stopped, self._profile = self._profile, None
        if self._taken:
            self._write(stopped)
        self.overhead_seconds += time.perf_counter() - began

    def _write(self, stopped: profile) -> None:
        temporary = self._folder / f".trace.{os.getpid()}.json"
        try:
            stopped.export_chrome_trace(str(temporary))
            trace = temporary.read_bytes()
        finally:
            temporary.unlink(missing_ok=True)
        rows = operators(json.loads(trace)["traceEvents"])
        write_text(self._folder / OPERATORS_FILE, operators_csv(rows))
        packed = gzip.compress(trace, compresslevel=6, mtime=0)
        if len(packed) <= MOST_TRACE_BYTES:
            with replacing(self._folder / TRACE_FILE) as fresh:
                fresh.write_bytes(packed)
            self._trace_bytes = len(packed)

    def _abandon(self) -> None:
        """Leave torch's profiler stopped, once something failed."""
        running, self._profile, self._done = self._profile, None, True
        self._mark, self._taken = ExitStack(), 0
        if running is not None:
            running.stop()


class _Annotated(AbstractContextManager[None]):
    """A span of the trace around a timer; its own cost stays outside of what the timer measures."""

    __slots__ = ("_containment", "_name", "_span", "_timer")

    def __init__(
        self, name: str, timer: AbstractContextManager[None], containment: Containment
    ) -> None:
        self._name = name
        self._timer = timer
        self._containment = containment
        self._span: record_function | None = None

    def __enter__(self) -> None:
        self._span = self._containment.run(_span, self._name)
        self._timer.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.__exit__(kind, error, trace)
        if self._span is not None:
            self._containment.attempt(self._span.__exit__, kind, error, trace)


def _span(name: str) -> record_function:
    span = record_function(name)
    span.__enter__()
    return span
