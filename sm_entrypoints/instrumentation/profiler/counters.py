"""Read the kernel's counters: cores, memory, disks, network, GPUs, the job's own processes.

Types, names and dimensions are those in files that SageMaker's profiler wrote in December 2024:
``cpu`` (CPUUtilization and I/OWaitPercentage per core), ``memory``, ``i/o``, ``network`` (dimension
Platform = the host's interfaces), ``gpu``. Only ``ProcessMemoryBytes`` is ours.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from typing import Any

import psutil

from sm_entrypoints.instrumentation.profiler.gpus import Event, Gpus
from sm_entrypoints.job.containment import Containment

PROCESS_MEMORY = "ProcessMemoryBytes"
# Reading the counters of disks and interfaces costs more than everything else together.
_IO_SECONDS = 0.45
_DESCENDANTS_SECONDS = 5.0
# A final sample over a shorter time would be mostly rounding of the kernel's 10 ms ticks.
_SHORTEST_SAMPLE = 0.05


class Counters:
    """Turn the kernel's running totals into percentages and rates since the last read.

    Args:
        make_gpus: gives the GPUs to read; by default those that torch sees. root: a process whose
        memory, with that of its descendants, is the job's; by default this process and those passed
        to :meth:`watch`.
    """

    def __init__(self, make_gpus: Callable[[], Gpus] = Gpus, root: int | None = None) -> None:
        self._gpus: Gpus | None = None
        self._gpu_containment = Containment("GPU sampling", on_failure=self._forget_gpus)
        self._gpus = self._gpu_containment.run(make_gpus)
        self._time = self._io_time = time.monotonic()
        self._cpu = psutil.cpu_times(percpu=True)
        self._disk = _totals(psutil.disk_io_counters)
        self._network = _totals(psutil.net_io_counters, nowrap=False)
        self._root, self._looked = root, 0.0
        self._processes: dict[int, psutil.Process] = {}
        self.watch(os.getpid() if root is None else root)

    def watch(self, pid: int) -> None:
        """Count the memory of a child process too, until it ends; safe from any thread."""
        with contextlib.suppress(psutil.Error):
            self._processes[pid] = psutil.Process(pid)

    @property
    def gpu_failure(self) -> str | None:
        """Why GPUs that are there are not read, if so; everything else is."""
        told = None if self._gpus is None else self._gpus.failure
        return self._gpu_containment.failure or told

    def _forget_gpus(self) -> None:
        self._gpus = None

    def _read_gpus(self) -> list[Event]:
        if self._gpus is None:
            return []
        return self._gpu_containment.run(self._gpus.read) or []

    def read(self) -> list[Event]:
        """Return what happened since the last read; nothing when that was a moment ago."""
        now = time.monotonic()
        if now - self._time < _SHORTEST_SAMPLE:
            return []
        self._time = now
        memory = ("memory", "MemoryUsedPercent", "", psutil.virtual_memory().percent)
        events = [*self._cores(), memory, self._process_memory(), *self._read_gpus()]
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

    def _process_memory(self) -> Event:
        """Return the resident bytes of all our processes; pages they share count for each."""
        self._look_for_descendants()
        total = 0
        for pid, process in list(self._processes.items()):
            try:
                total += process.memory_info().rss
            except psutil.Error:
                self._processes.pop(pid, None)
        return "memory", PROCESS_MEMORY, "", float(total)

    def _look_for_descendants(self) -> None:
        # Reading all of /proc costs more than a whole sample.
        if self._root is None or self._time - self._looked < _DESCENDANTS_SECONDS:
            return
        self._looked = self._time
        with contextlib.suppress(psutil.Error):
            for child in psutil.Process(self._root).children(recursive=True):
                self._processes.setdefault(child.pid, child)

    def _io(self, elapsed: float) -> list[Event]:
        old, self._disk = self._disk, _totals(psutil.disk_io_counters)
        new = self._disk
        if old is None or new is None:
            return []
        operations = (new.read_count - old.read_count) + (new.write_count - old.write_count)
        read = (new.read_bytes - old.read_bytes) / elapsed
        written = (new.write_bytes - old.write_bytes) / elapsed
        return [
            ("i/o", "IOPS", "", operations / elapsed),
            ("i/o", "ReadThroughputInBytesPerSecond", "", read),
            ("i/o", "WriteThroughputInBytesPerSecond", "", written),
        ]

    def _net(self, elapsed: float) -> list[Event]:
        old = self._network
        self._network = _totals(psutil.net_io_counters, nowrap=False)
        new = self._network
        if old is None or new is None:
            return []
        received = (new.bytes_recv - old.bytes_recv) / elapsed
        sent = (new.bytes_sent - old.bytes_sent) / elapsed
        return [
            ("network", "ReceiveBytesPerSecond", "Platform", received),
            ("network", "TransmitBytesPerSecond", "Platform", sent),
        ]


def _totals(read: Callable[..., Any], **options: bool) -> Any:
    """Return what was read; None where the kernel shows none (gVisor, a diskless host)."""
    try:
        return read(**options)
    except (OSError, RuntimeError):
        return None


def _clock(times: Any) -> float:
    """Return a core's elapsed time; guest time is already part of user time on Linux."""
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    return float(sum(times) - guests)


def _percent(value: float) -> float:
    return min(100.0, max(0.0, value))
