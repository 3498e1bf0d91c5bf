"""Everything that Debugger and profiler do around one job, in the order its supervisor calls it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from platforms.local.buckets.buckets import Buckets
from platforms.local.debugger.live_output import LiveOutput
from platforms.local.debugger.rule_evaluation import RuleEvaluation
from platforms.local.debugger.rule_statuses import (
    NOTHING_TO_JUDGE,
    closed,
    in_progress,
    with_statuses,
)
from platforms.local.debugger.system_sampling import SystemSampling, is_profiled
from platforms.local.job_tree import JobTree
from platforms.local.records import Record

# A job waits so long for its rules: most notebooks look at them, and at the report, in the cell
# after `fit`. What takes longer goes on when the job has its status, as in the service.
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class JobDebugger:
    """Sampling, uploads and rules of one training job.

    Attributes:
        tree: the job's files.
        record: its record, with the members of its request.
        buckets: where its output goes.
        update: changes the record.
        say: adds a line to the job's log.
    """

    tree: JobTree
    record: Mapping[str, Any]
    buckets: Buckets
    update: Callable[[Callable[[Record], Record]], Record]
    say: Callable[[str], None]

    @property
    def _output(self) -> LiveOutput:
        return LiveOutput(tree=self.tree, record=self.record, buckets=self.buckets)

    @contextmanager
    def watching(self, pid: int) -> Iterator[None]:
        """Sample the machine and send output while the job runs; ``pid`` is its first process."""
        if not is_profiled(self.record) and "DebugHookConfig" not in self.record:
            yield
            return
        sampling = SystemSampling.start(self.tree, self.record, pid)
        with self._output.pushing():
            try:
                yield
            finally:
                problem = sampling.stop()
                if problem is not None:
                    self.say(f"warning: the system was not sampled to the end: {problem}")

    def finish_output(self) -> None:
        """Send what is left of the output, and say that it has ended.

        Raises:
            WhippetError, OSError: the bucket cannot be written.
        """
        self._output.finish()

    def give_up(self) -> None:
        """End rules and output of a job that did not come to its own end.

        Raises: as :meth:`finish_output`; the rules have ended by then.
        """
        if in_progress(self.record):
            self.update(lambda record: closed(record, NOTHING_TO_JUDGE))
        self._output.mark_end()

    @contextmanager
    def judging(self) -> Iterator[None]:
        """Judge the rules: before the block for a minute, and what takes longer after it."""
        if not in_progress(self.record):
            yield
            return
        thread = threading.Thread(target=self._judge, name="rules", daemon=True)
        thread.start()
        thread.join(_PATIENCE_SECONDS)
        try:
            yield
        finally:
            thread.join()

    def _judge(self) -> None:
        evaluation = RuleEvaluation(
            tree=self.tree,
            record=self.record,
            buckets=self.buckets,
            profiler_output=self.tree.profiler_output,
        )
        statuses = evaluation.run()
        self.update(lambda record: with_statuses(record, statuses))
