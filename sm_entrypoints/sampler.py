"""Sample the machine while a job trains, in the layout of SageMaker's own profiler.

One JSON object a line, in ``<folder>/<YYYYMMDDHH>/<unix seconds of the minute>.<node>.json`` (UTC),
so that ``smdebug.profiler`` and our dashboards read local and AWS files alike. Types, names and
dimensions are those of files that SageMaker wrote in December 2024: ``cpu`` (CPUUtilization and
I/OWaitPercentage per core), ``memory``, ``i/o``, ``network`` (dimension Platform = the host's
interfaces), ``gpu``.
"""

from __future__ import annotations

import json
import re
import threading
import time
from array import array
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import psutil
import torch

# The only values that SageMaker's API accepts for ProfilingIntervalInMilliseconds.
INTERVALS_MS = (100, 200, 500, 1000, 5000, 60000)
DEFAULT_INTERVAL_MS = 500
# smdebug's reader skips every file whose node is not called like this.
NODE_PATTERN = re.compile(r"algo-\d+")
# Reading the counters of disks and interfaces costs more than everything else together.
_IO_SECONDS = 0.45
# A final sample over a shorter time would be mostly rounding of the kernel's 10 ms ticks.
_SHORTEST_SAMPLE = 0.05

Event = tuple[str, str, str, float]  # type, name, dimension, value


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
    ) -> None:
        if interval_ms not in INTERVALS_MS:
            raise ValueError(f"{interval_ms=} is not one of {list(INTERVALS_MS)}")
        self._folder = folder
        self._node = node if NODE_PATTERN.fullmatch(node) else "algo-1"
        self._interval_ms = interval_ms
        self._counters = _Counters()
        self._file: TextIO | None = None
        self._minute = -1
        self._cpu = array("f")
        self._memory = array("f")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="system-sampler", daemon=True)
        self.failure: str | None = None

    def start(self) -> None:
        """Start sampling; the first sample comes one interval later."""
        self._thread.start()

    def stop(self) -> None:
        """Take a last sample and end the thread; a second call does nothing."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def summary(self) -> dict[str, Any]:
        """Return the ``system`` member of ``summary.json``; CPU and memory in percent."""
        return {
            "samples": len(self._cpu),
            "interval_ms": self._interval_ms,
            "cpu": _spread(self._cpu),
            "memory": _spread(self._memory),
        }

    def _run(self) -> None:
        started = time.monotonic()
        ticks = 0
        try:
            while not self._stop.is_set():
                ticks = max(ticks + 1, int((time.monotonic() - started) * 1000 / self._interval_ms))
                due = started + ticks * self._interval_ms / 1000
                self._stop.wait(max(0.0, due - time.monotonic()))
                self._sample()
        except (OSError, psutil.Error, RuntimeError) as error:
            self.failure = f"{type(error).__name__}: {error}"
        finally:
            if self._file is not None:
                self._file.close()

    def _sample(self) -> None:
        now = time.time()
        events = self._counters.read()
        if not events:
            return
        cpu = [value for _, _, dimension, value in events if dimension == "CPUUtilization"]
        self._cpu.append(sum(cpu) / len(cpu))
        self._memory.append(next(value for kind, *_, value in events if kind == "memory"))
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


class _Counters:
    """Turn the kernel's running totals into percentages and rates since the last read."""

    def __init__(self) -> None:
        self._gpus = _gpu_reader()
        self._time = self._io_time = time.monotonic()
        self._cpu = psutil.cpu_times(percpu=True)
        self._disk = psutil.disk_io_counters()
        self._network = psutil.net_io_counters(nowrap=False)

    def read(self) -> list[Event]:
        """Return what happened since the last read; nothing when that was a moment ago."""
        now = time.monotonic()
        if now - self._time < _SHORTEST_SAMPLE:
            return []
        self._time = now
        memory = ("memory", "MemoryUsedPercent", "", psutil.virtual_memory().percent)
        events = [*self._cores(), memory, *self._gpus()]
        elapsed = now - self._io_time
        if elapsed >= _IO_SECONDS:
            self._io_time = now
            events += [*self._io(elapsed), *self._net(elapsed)]
        return events

    def _cores(self) -> list[Event]:
        before, self._cpu = self._cpu, psutil.cpu_times(percpu=True)
        events: list[Event] = []
        for index, (old, new) in enumerate(zip(before, self._cpu, strict=False)):
            total = _clock(new) - _clock(old)
            if total <= 0:
                continue
            # As in SageMaker's files, the time a core waits for I/O counts as utilization too.
            busy = 100 * (1 - (new.idle - old.idle) / total)
            waiting = 100 * (getattr(new, "iowait", 0.0) - getattr(old, "iowait", 0.0)) / total
            events.append(("cpu", f"cpu{index}", "CPUUtilization", _percent(busy)))
            events.append(("cpu", f"cpu{index}", "I/OWaitPercentage", _percent(waiting)))
        return events or [("cpu", "cpu0", "CPUUtilization", 0.0)]

    def _io(self, elapsed: float) -> list[Event]:
        old, self._disk = self._disk, psutil.disk_io_counters()
        new = self._disk
        if old is None or new is None:
            return []
        operations = (new.read_count - old.read_count) + (new.write_count - old.write_count)
        return [
            ("i/o", "IOPS", "", operations / elapsed),
            (
                "i/o",
                "ReadThroughputInBytesPerSecond",
                "",
                (new.read_bytes - old.read_bytes) / elapsed,
            ),
            (
                "i/o",
                "WriteThroughputInBytesPerSecond",
                "",
                (new.write_bytes - old.write_bytes) / elapsed,
            ),
        ]

    def _net(self, elapsed: float) -> list[Event]:
        old, self._network = self._network, psutil.net_io_counters(nowrap=False)
        new = self._network
        if old is None or new is None:
            return []
        received = (new.bytes_recv - old.bytes_recv) / elapsed
        sent = (new.bytes_sent - old.bytes_sent) / elapsed
        return [
            ("network", "ReceiveBytesPerSecond", "Platform", received),
            ("network", "TransmitBytesPerSecond", "Platform", sent),
        ]


def _clock(times: Any) -> float:
    """Return a core's elapsed time; guest time is already part of user time on Linux."""
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return float(sum(times) - guests)


def _percent(value: float) -> float:
    return min(100.0, max(0.0, value))


def _gpu_reader() -> Callable[[], list[Event]]:
    """Return a reader of GPU use; it reads nothing without a GPU or without NVML's bindings."""
    if not torch.cuda.is_available():
        return list
    try:
        torch.cuda.utilization(0)
    except (ImportError, RuntimeError):
        return list

    def read() -> list[Event]:
        events: list[Event] = []
        for index in range(torch.cuda.device_count()):
            used = float(torch.cuda.utilization(index))
            memory = float(torch.cuda.memory_usage(index))
            events.append(("gpu", f"gpu{index}", "GPUUtilization", used))
            events.append(("gpu", f"gpu{index}", "GPUMemoryUtilization", memory))
        return events

    return read


def _spread(values: array[float]) -> dict[str, float | None]:
    if not values:
        return dict.fromkeys(("mean", "p95", "max"))
    numbers = np.asarray(values)
    return {
        "mean": float(numbers.mean()),
        "p95": float(np.percentile(numbers, 95)),
        "max": float(numbers.max()),
    }
