"""Sample the machine while a job trains, in the layout of SageMaker's own profiler.

One JSON object per line, in ``<folder>/<YYYYMMDDHH>/<unix seconds of the minute>.<node>.json``
(UTC), so that ``smdebug.profiler`` and our dashboards read local and AWS files alike.
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TextIO

from sm_entrypoints.instrumentation.profiler.counters import PROCESS_MEMORY, Counters
from sm_entrypoints.instrumentation.profiler.gpus import Event
from sm_entrypoints.job.containment import Containment

# The only values that SageMaker's API accepts for ProfilingIntervalInMilliseconds.
INTERVALS_MS = (100, 200, 500, 1000, 5000, 60000)
DEFAULT_INTERVAL_MS = 500
# smdebug's reader skips every file whose node is not called like this.
NODE_PATTERN = re.compile(r"algo-\d+")


class SystemSampler:
    """Write CPU, memory, disk, network and GPU use every ``interval_ms``, from a daemon thread.

    Stopping takes a last sample, so that a job shorter than the interval has one too. When the
    files cannot be written or the counters cannot be read, sampling ends, ``failure`` says why,
    and nothing else is affected.
    """

    def __init__(
        self,
        folder: Path,
        *,
        node: str = "algo-1",
        interval_ms: int = DEFAULT_INTERVAL_MS,
        counters: Counters | None = None,
    ) -> None:
        if interval_ms not in INTERVALS_MS:
            raise ValueError(f"{interval_ms=} is not one of {list(INTERVALS_MS)}")
        self._folder = folder
        self._node = node if NODE_PATTERN.fullmatch(node) else "algo-1"
        self._interval_ms = interval_ms
        self._containment = Containment("system sampler", on_failure=self._close_file)
        self._counters = Counters() if counters is None else counters
        self._file: TextIO | None = None
        self._minute = -1
        self._cpu = array("f")
        self._memory = array("f")
        self._process_memory = array("d")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="system-sampler", daemon=True)

    def start(self) -> None:
        """Start sampling; the first sample comes one interval later."""
        self._thread.start()

    def stop(self) -> None:
        """Take a last sample and end the thread; a second call does nothing."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    @property
    def failure(self) -> str | None:
        """What ended the sampling, if something did."""
        return self._containment.failure

    @property
    def gpu_failure(self) -> str | None:
        """Why GPUs that are there are not sampled, if so."""
        return self._counters.gpu_failure

    def watch(self, pid: int) -> None:
        """Count a child process of the training (a loader's worker) into the job's memory."""
        self._counters.watch(pid)

    def process_summary(self) -> dict[str, dict[str, float | None]]:
        """Return the ``process`` member of ``summary.json``; resident bytes, workers included."""
        values = self._process_memory
        if not values:
            return {"rss_bytes": dict.fromkeys(("first", "last", "max"))}
        return {"rss_bytes": {"first": values[0], "last": values[-1], "max": max(values)}}

    def summary(self) -> dict[str, Any]:
        """Return the ``system`` member of ``summary.json``; CPU and memory in percent."""
        return {
            "samples": len(self._cpu),
            "interval_ms": self._interval_ms,
            "cpu": _spread(self._cpu),
            "memory": _spread(self._memory),
        }

    def _run(self) -> None:
        self._containment.attempt(self._sample_until_stopped)
        self._containment.attempt(self._close_file)

    def _sample_until_stopped(self) -> None:
        started = time.monotonic()
        ticks = 0
        while not self._stop.is_set():
            ticks = max(ticks + 1, int((time.monotonic() - started) * 1000 / self._interval_ms))
            due = started + ticks * self._interval_ms / 1000
            self._stop.wait(max(0.0, due - time.monotonic()))
            self._sample()

    def _close_file(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _sample(self) -> None:
        now = time.time()
        events = self._counters.read()
        if not events:
            return
        cpu = [value for _, _, dimension, value in events if dimension == "CPUUtilization"]
        self._cpu.append(sum(cpu) / len(cpu))
        memory = {name: value for kind, name, _, value in events if kind == "memory"}
        self._memory.append(memory["MemoryUsedPercent"])
        self._process_memory.append(memory[PROCESS_MEMORY])
        file = self._file_of(int(now // 60) * 60)
        file.writelines(self._lines(events, now))
        file.flush()

    def _lines(self, events: Iterable[Event], now: float) -> Iterable[str]:
        for kind, name, dimension, value in events:
            record = {
                "Type": kind,
                "Name": name,
                "Dimension": dimension,
                "Value": round(value, 2),
                "NodeId": self._node,
                "Timestamp": round(now, 6),
            }
            yield json.dumps(record, separators=(",", ":")) + "\n"

    def _file_of(self, minute: int) -> TextIO:
        if minute != self._minute or self._file is None:
            if self._file is not None:
                self._file.close()
            hour = time.strftime("%Y%m%d%H", time.gmtime(minute))
            path = self._folder / hour / f"{minute}.{self._node}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
            self._minute = minute
        return self._file


def _spread(values: array[float]) -> dict[str, float | None]:
    if not values:
        return dict.fromkeys(("mean", "p95", "max"))
    ordered = sorted(values)
    return {
        "mean": math.fsum(values) / len(values),
        "p95": _percentile(ordered, 0.95),
        "max": ordered[-1],
    }


def _percentile(ordered: Sequence[float], share: float) -> float:
    """Return a percentile of sorted values, between two of them by their distance."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])
