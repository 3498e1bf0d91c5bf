"""A process that only samples the machine, and reports what that cost. One JSON line.

    python -m benchmarks.sampler_child {ours|psutil} INTERVAL_MS SECONDS FOLDER

``psutil`` is the obvious loop: the same metrics by psutil's own percentages, the memory of all
children, a file opened for each sample.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import psutil

from sm_entrypoints.instrumentation.profiler.sampler import SystemSampler

_WARM_UP = 1.0


def _ours(folder: Path, interval_ms: int, seconds: float) -> int:
    sampler = SystemSampler(folder, interval_ms=interval_ms)
    sampler.start()
    time.sleep(seconds)
    sampler.stop()
    return int(sampler.summary()["samples"])


def _naive(folder: Path, interval_ms: int, seconds: float) -> int:
    samples, until = 0, time.monotonic() + seconds
    psutil.cpu_times_percent(percpu=True)
    while time.monotonic() < until:
        time.sleep(interval_ms / 1000)
        process = psutil.Process()
        family = [process, *process.children(recursive=True)]
        record = {
            "time": time.time(),
            "cpu": [core._asdict() for core in psutil.cpu_times_percent(percpu=True)],
            "memory": psutil.virtual_memory()._asdict(),
            "disk": psutil.disk_io_counters()._asdict(),
            "network": psutil.net_io_counters()._asdict(),
            "rss": sum(each.memory_info().rss for each in family),
        }
        with (folder / "naive.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")
        samples += 1
    return samples


def main(kind: str, interval_ms: int, seconds: float, folder: Path) -> None:
    """Sample for ``seconds`` and print CPU share (of one core), MB and samples."""
    sample = {"ours": _ours, "psutil": _naive}[kind]
    time.sleep(_WARM_UP)
    memory, cpu, began = psutil.Process().memory_info().rss, time.process_time(), time.monotonic()
    samples = sample(folder, interval_ms, seconds)
    wall = time.monotonic() - began
    result = {
        "share": (time.process_time() - cpu) / wall,
        "megabytes": (psutil.Process().memory_info().rss - memory) / 1e6,
        "samples": samples,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
