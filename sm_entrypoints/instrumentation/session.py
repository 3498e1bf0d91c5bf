"""The instrumentation that a training script calls: phases, machine, losses, tensors, smdebug.

The job's configuration decides, as in the SageMaker container: ``profilerconfig.json`` and
``debughookconfig.json``. Nothing here raises into the training: a part that fails is switched off,
with one printed line. Only the leader (rank 0) measures.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Self

from torch import Tensor, nn

from sm_entrypoints.contract import (
    INSTRUMENTATION_FOLDER,
    INSTRUMENTATION_SUMMARY_FILE,
    STEPS_FILE,
    TAIL_ALONE,
    WHOLE_NETWORK,
)
from sm_entrypoints.contract.files import write_json
from sm_entrypoints.instrumentation.config import InstrumentationPlan
from sm_entrypoints.instrumentation.phases import StepRecorder
from sm_entrypoints.instrumentation.profiler.profiler import Profiler
from sm_entrypoints.instrumentation.profiler.workers import Making
from sm_entrypoints.instrumentation.smdebug.debugging import Debugging
from sm_entrypoints.instrumentation.tensors.reductions import ReductionRecorder
from sm_entrypoints.instrumentation.watching import Watch, Watching
from sm_entrypoints.job.containment import Containment
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.rules.result import Mark

# Until it starts. Nothing that could fail is called outside of its containment.
_NOWHERE = Path()


class Instrumentation:
    """Measure a training run; a context manager whose methods never raise.

    In TRAIN a step is the phases between two calls of :meth:`step`; in EVAL too.

    Example:
        >>> from sm_entrypoints.instrumentation.session import Instrumentation
        >>> from sm_entrypoints.job.environment import Environment
        >>> environment = Environment(output_data_dir=folder, config_dir=folder)
        >>> with Instrumentation.from_environment(
        ...     environment, model=model, loss_function=loss_function, requested="on"
        ... ) as instrumentation:
        ...     instrumentation.epoch(1, "TRAIN")
        ...     with instrumentation.phase("forward"):
        ...         loss = loss_function(model(images), labels)
        ...     instrumentation.step(len(images), loss)
        >>> (folder / "instrumentation" / "steps.csv").is_file()
        True
    """

    def __init__(self, watch: Watch | None = None) -> None:
        self._watching = Watching(watch)
        self._containment = Containment("instrumentation", on_failure=self._detach)
        self._folder = _NOWHERE
        self._steps: StepRecorder | None = None
        self._reductions: ReductionRecorder | None = None
        self._profiler: Profiler | None = None
        self._debugging: Debugging | None = None
        self._summary: dict[str, Any] | None = None

    @classmethod
    def from_environment(
        cls,
        environment: Environment,
        *,
        model: nn.Module,
        loss_function: nn.Module,
        requested: str,
        watch: Watch | None = None,
    ) -> Instrumentation:
        """Return the instrumentation that the job's configuration asks for, started.

        Args:
            environment: where the configuration lies and the files go.
            model: the network itself (a DistributedDataParallel wrapper is looked through).
            loss_function: the loss module that training and evaluation call.
            requested: ``auto`` (as configured), ``on`` (with defaults if not configured), ``off``.
            watch: sees every tensor record while training, and may ask for a stop.
        """
        self = cls(watch)
        if environment.is_leader:
            self._containment.run(self._start, environment, model, loss_function, requested)
        return self

    @property
    def enabled(self) -> bool:
        """Whether steps are being measured: asked for, not failed, not closed."""
        active = self._steps is not None and self._summary is None
        return active and self._containment.failure is None

    @property
    def stop_requested(self) -> Mark | None:
        """Why a rule wants the training to stop, as soon as one does; check it after each step."""
        return self._watching.stopped_by

    def schedule(self, steps_per_epoch: int, epochs: int) -> None:
        """Say how many training steps and epochs are to come: it places the profiled steps."""
        if self._profiler is not None:
            self._containment.run(self._profiler.schedule, steps_per_epoch, epochs)

    def epoch(self, epoch: int, mode: str) -> None:
        """Say that the steps to come belong to ``epoch`` (from 1) and ``mode`` (TRAIN or EVAL)."""
        if self.enabled:
            self._containment.run(self._begin_epoch, epoch, mode)

    def tail_alone(self) -> None:
        """Say that from the next epoch on the model is fed with features and runs its tail only."""
        if self.enabled:
            self._containment.run(self._narrow)

    def phase(self, name: str) -> AbstractContextManager[None]:
        """Time one of ``contract.STEP_PHASES``; enter ``optimizer`` with the gradients in place."""
        if not self.enabled:
            return nullcontext()
        return self._containment.run(self._begin_phase, name) or nullcontext()

    def batch(self, making: Making | None, samples: int) -> None:
        """Record how the batch of the coming step was made, if that was timed."""
        if making is not None and self.enabled and self._profiler is not None:
            self._containment.run(self._profiler.note_batch, making, samples)

    def step(self, samples: int, loss: float | Tensor) -> None:
        """End a step of ``samples`` images whose mean loss was ``loss``."""
        if self.enabled:
            self._containment.run(self._end_step, samples, loss)

    def close(self) -> dict[str, Any]:
        """Write everything and return the content of ``summary.json``; empty if never started.

        A second call returns the same. After a failure, ``failure`` says what it was.
        """
        if self._summary is None:
            self._summary = self._containment.attempt(self._finish) or {}
        return self._summary

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(
        self, environment: Environment, model: nn.Module, loss_function: nn.Module, requested: str
    ) -> None:
        plan = InstrumentationPlan.from_config(environment.config_dir, requested)
        if not plan.enabled:
            return
        if isinstance(model, nn.parallel.DistributedDataParallel):
            model = model.module
        self._folder = environment.output_data_dir / INSTRUMENTATION_FOLDER
        self._reductions = ReductionRecorder(
            self._folder,
            model,
            containment=self._containment,
            stride=plan.stride,
            observe=self._watching.observe,
        )
        network = TAIL_ALONE if self._reductions.fed_with_features else WHOLE_NETWORK
        self._steps = StepRecorder(self._folder / STEPS_FILE, network=network)
        self._debugging = Debugging(
            plan.hook_config,
            model=model,
            loss_function=loss_function,
            quota_bytes=plan.quota_bytes,
        )
        self._profiler = Profiler(environment, self._steps, interval_ms=plan.interval_ms)

    def _begin_epoch(self, epoch: int, mode: str) -> None:
        if self._steps is None or self._reductions is None:
            return
        if self._profiler is not None:
            self._profiler.begin_epoch(mode)
        self._steps.begin_epoch(epoch, mode)
        self._reductions.begin_epoch(epoch, mode, self._steps.counts[mode])
        if self._debugging is not None:
            self._debugging.begin_epoch(mode)

    def _narrow(self) -> None:
        if self._steps is not None and self._reductions is not None:
            self._steps.network = TAIL_ALONE
            self._reductions.feed_features()

    def _begin_phase(self, name: str) -> AbstractContextManager[None] | None:
        if self._steps is None or self._reductions is None:
            return None
        if name == "optimizer":
            self._reductions.before_update()
        timer = self._steps.phase(name)
        return timer if self._profiler is None else self._profiler.annotate(name, timer)

    def _end_step(self, samples: int, loss: float | Tensor) -> None:
        if self._steps is None or self._reductions is None:
            return
        self._steps.exclude("forward", self._reductions.own_seconds)
        if self._debugging is not None:
            self._debugging.exclude_from(self._steps)
        value = float(loss.detach() if isinstance(loss, Tensor) else loss)
        seconds = self._steps.end_step(samples)
        self._reductions.end_step(value, seconds)
        if self._profiler is not None:
            self._profiler.after_step(seconds, watched=self._reductions.sampling)

    def _finish(self) -> dict[str, Any]:
        if self._profiler is not None:
            self._containment.attempt(self._profiler.close)
        # Also when a start was cut short: what was opened by then is closed.
        for part in (self._reductions, self._steps):
            if part is not None:
                self._containment.attempt(part.close)
        if self._steps is None or self._reductions is None:
            return {}
        summary = {
            **self._steps.summary(),
            **({} if self._profiler is None else self._profiler.summary()),
            **self._reductions.summary(),
            "smdebug": None if self._debugging is None else self._debugging.close(self._folder),
            "overhead_seconds": self._reductions.total_seconds,
            "failure": self._failure(),
        }
        write_json(self._folder / INSTRUMENTATION_SUMMARY_FILE, summary)
        return summary

    def _failure(self) -> str | None:
        failures = {
            "instrumentation": self._containment.failure,
            "rules": self._watching.failure,
            "smdebug": None if self._debugging is None else self._debugging.failure,
            **({} if self._profiler is None else self._profiler.failures()),
        }
        return "; ".join(f"{part}: {why}" for part, why in failures.items() if why) or None

    def _detach(self) -> None:
        """Take our hooks off the model, once something failed."""
        if self._reductions is not None:
            self._reductions.detach()
