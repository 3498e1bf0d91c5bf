"""Sample the machine beside a job that does not do so itself, like SageMaker's host agent.

    python sm_entrypoints/sample.py FOLDER --interval-ms 500 --pid PID [--unless FOLDER]

Writes the files of :mod:`sm_entrypoints.instrumentation.profiler.sampler` until stdin ends (because
its starter stopped it or died), or until the job begins its own sampling: then the folder of
``--unless`` appears.
"""

from __future__ import annotations

import argparse
import os
import select
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

if __name__ == "__main__":  # as a script only: sys.path starts with this file's own folder
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from sm_entrypoints.instrumentation.profiler.counters import Counters
from sm_entrypoints.instrumentation.profiler.gpus import Gpus, has_device_file
from sm_entrypoints.instrumentation.profiler.sampler import (
    DEFAULT_INTERVAL_MS,
    INTERVALS_MS,
    SystemSampler,
)

_LOOK_SECONDS = 0.5
# Of a busy machine; stop() of the supervisor waits longer.
_FIRST_SAMPLE_SECONDS, _POLL_SECONDS = 3.0, 0.02


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 1 when the machine could not be sampled to the end."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--interval-ms", type=int, choices=INTERVALS_MS, default=DEFAULT_INTERVAL_MS
    )
    parser.add_argument("--node", default="algo-1")
    parser.add_argument("--pid", type=int, required=True, help="the job's first process")
    parser.add_argument("--unless", type=Path, help="ends the sampling as soon as it exists")
    options = parser.parse_args(argv)
    sampler = SystemSampler(
        options.folder,
        node=options.node,
        interval_ms=options.interval_ms,
        counters=Counters(partial(Gpus, present=has_device_file), root=options.pid),
    )
    sampler.start()
    while not _ended() and not (options.unless is not None and options.unless.exists()):
        if sampler.failure is not None:
            break
    _wait_for_one(sampler)
    sampler.stop()
    for problem in filter(None, (sampler.failure, sampler.gpu_failure)):
        print(problem, file=sys.stderr)
    return 0 if sampler.failure is None else 1


def _wait_for_one(sampler: SystemSampler) -> None:
    """Let a job that was shorter than our own start have one sample all the same."""
    end = time.monotonic() + _FIRST_SAMPLE_SECONDS
    while not sampler.summary()["samples"] and sampler.failure is None and time.monotonic() < end:
        time.sleep(_POLL_SECONDS)


def _ended() -> bool:
    """Wait a moment for stdin; tell whether it has ended."""
    readable, _, _ = select.select([sys.stdin.fileno()], [], [], _LOOK_SECONDS)
    return bool(readable) and not os.read(sys.stdin.fileno(), 1024)


if __name__ == "__main__":
    sys.exit(main())
