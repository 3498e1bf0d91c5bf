"""Upload what smdebug and the profiler write while the job runs, and when it has ended.

Readers watch a bucket while it fills (``smdebug.trials.create_trial``, ``TrainingJob``): an index
file names event files, so it is uploaded after them, and ``training_job_end.ts`` comes last of all.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platforms.archives import regular_files
from platforms.errors import WhippetError
from platforms.local.buckets.buckets import Buckets
from platforms.local.debugger.system_sampling import is_profiled, stage_samples
from platforms.local.job_tree import JobTree
from sm_entrypoints.contract import SYSTEM_FOLDER

END_FILE = "training_job_end.ts"
_PROFILER_OUTPUT = "profiler-output"
# Where SageMaker leaves the end file: its readers look in all three.
_PROFILER_PARTS = ("", "system", "framework")
# What smdebug is still writing, and the file by which one process of several claims the folder.
_UNFINISHED, _CLAIM = ".tmp", "claim.smd"
_FIRST_SECONDS, _SECONDS = 2.0, 10.0
# Of a folder that takes long to look through or to send, at most this share of the time.
_SHARE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveOutput:
    """``debug-output`` and ``profiler-output`` of one job; ``record`` has its request's members."""

    tree: JobTree
    record: Mapping[str, Any]
    buckets: Buckets

    def push(self) -> None:
        """Send what is new and whole.

        Raises:
            WhippetError, OSError: the bucket cannot be written, or a folder not be read.
        """
        tensors = self._uri("DebugHookConfig", "debug-output")
        if tensors is not None:
            self._push_tensors(tensors)
        profiler = self._uri("ProfilerConfig", _PROFILER_OUTPUT)
        if profiler is not None:
            self._push_profiler(profiler)

    def finish(self) -> None:
        """Send the rest and say that nothing more will come.

        Raises: as :meth:`push`.
        """
        self.push()
        self.mark_end()

    def mark_end(self) -> None:
        """Leave ``training_job_end.ts`` where readers look for it.

        Raises: as :meth:`push`.
        """
        tensors = self._uri("DebugHookConfig", "debug-output")
        profiler = self._uri("ProfilerConfig", _PROFILER_OUTPUT)
        places = [] if tensors is None else [tensors]
        if profiler is not None and is_profiled(self.record):
            places += [f"{profiler}/{part}".rstrip("/") for part in _PROFILER_PARTS]
        for place in places:
            with self.buckets.writing(f"{place}/{END_FILE}", self.tree.folder) as path:
                path.touch()

    @contextlib.contextmanager
    def pushing(self) -> Iterator[None]:
        """Push again and again in a thread; a push in progress is finished after the block.

        A failure does not end the job: the last push, when the training has ended, meets it again.
        """
        over = threading.Event()
        thread = threading.Thread(target=self._push_until, args=[over], daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _push_until(self, over: threading.Event) -> None:
        pause = _FIRST_SECONDS
        while not over.wait(pause):
            began = time.monotonic()
            with contextlib.suppress(WhippetError, OSError):
                self.push()
            pause = max(_SECONDS, _SHARE * (time.monotonic() - began))

    def _push_tensors(self, uri: str) -> None:
        folder = self.tree.tensors(self.record)
        # Listed first: whatever an index names was there by now.
        index = _finished(folder / "index")
        others = [path for path in _finished(folder) if folder / "index" not in path.parents]
        self.buckets.push(folder, uri, files=others)
        self.buckets.push(folder, uri, files=index)

    def _push_profiler(self, uri: str) -> None:
        stage_samples(self.tree)
        self.buckets.push(self.tree.profiler_output, uri)
        own = self.tree.output_data / _PROFILER_OUTPUT
        samples = self.tree.output_data / SYSTEM_FOLDER
        self.buckets.push(own, uri, files=[p for p in _finished(own) if samples not in p.parents])
        framework = self.tree.framework_profile
        self.buckets.push(framework, uri, files=_finished(framework))

    def _uri(self, config: str, name: str) -> str | None:
        if config not in self.record:
            return None
        base = self.record[config].get("S3OutputPath")
        if base is None and config == "ProfilerConfig" and is_profiled(self.record):
            base = self.record["OutputDataConfig"]["S3OutputPath"]
        return f"{base.rstrip('/')}/{self.record['TrainingJobName']}/{name}" if base else None


def _finished(folder: Path) -> Sequence[Path]:
    return [
        path for path in regular_files(folder) if path.suffix != _UNFINISHED and path.name != _CLAIM
    ]
