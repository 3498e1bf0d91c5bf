"""What does observing tensors cost a training, with our hook and with smdebug's?

    .venv-job/bin/python -m benchmarks.instrumentation_hook [--json FILE] [--cycles 24]

Steps of one network (ResNet18, fully trained, 16 images of 64 pixels, SGD with momentum) on two
threads, in cycles. The same tensors are observed: gradients, weights, inputs of ReLUs (ours also
outputs, update ratios, histograms). smdebug saves them raw, which is its default, and as
reductions, which compare with ours.

The same network takes steps with and without our hook in turn, because two identical networks may
differ by several per cent here. A sampled step is timed together with the one after it, which finds
the caches changed. smdebug's hook cannot be removed, so its saving steps are compared with its own
network's other steps: its cost in between is not counted. The control compares every other step
without a hook with the remaining ones: noise.

A kind's time is the median, so a pause of the machine does not count. The overhead at a stride
combines the medians by their shares, with a 95% bootstrap interval over cycles. Our cost between
samples is far below that noise: for our own stride it is timed alone.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import platform
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

# As the local platform sets it for jobs, before torch starts its threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
from torch import nn

from benchmarks.hook_twin import BETWEEN, CLASSES, DENSE, PLAIN, SAMPLED, Twin
from benchmarks.interleaving import Clock, Overhead, Times
from sm_entrypoints.instrumentation.smdebug.hook import DebuggerHook
from sm_entrypoints.instrumentation.tensors.reductions import ReductionRecorder
from sm_entrypoints.instrumentation.tensors.stride import FIRST_STEPS
from sm_entrypoints.job.containment import Containment

THREADS, BATCH, PIXELS, SPARSE = 2, 16, 64, 500
# Steps in which the adaptive stride finds its length.
SETTLING = 25
TIMED_ALONE = 5_000


class Bench:
    """The twins and their observers."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(1)
        images = torch.randn(BATCH, 3, PIXELS, PIXELS).to(memory_format=torch.channels_last)
        self._batch = (images, torch.randint(0, CLASSES, (BATCH,)))
        self._folder = folder
        self._failed: list[str] = []

    def plain(self) -> Twin:
        """Return a twin without an observer."""
        return Twin(*self._batch)

    def ours(self, stride: int | None) -> Twin:
        """Return a twin with our hook at a fixed stride, or (None) at one that it chooses."""
        twin = self.plain()
        twin.recorder = self.recorder(f"ours-{stride}", twin.model, stride)
        return twin

    def recorder(self, name: str, model: nn.Module, stride: int | None) -> ReductionRecorder:
        """Return our hook on a network at its first training step."""
        recorder = ReductionRecorder(
            self._folder / name,
            model,
            containment=Containment(name, on_failure=lambda: self._failed.append(name)),
            stride=stride,
            # As in a run of 10^5 steps, whose records are thinned only later.
            quota_bytes=1_000_000_000,
        )
        recorder.begin_epoch(1, "TRAIN", 0)
        return recorder

    def smdebug(self, name: str, reductions: str | None) -> Twin:
        """Return a twin with smdebug's hook; what it writes is removed after every cycle."""
        twin, out = self.plain(), self._folder / name
        parameters = {"reductions": reductions} if reductions else {}
        document = {
            "LocalPath": str(out),
            "HookParameters": {"save_interval": str(DENSE)},
            "CollectionConfigurations": [
                {"CollectionName": "losses"},
                *(
                    {"CollectionName": collection, "CollectionParameters": parameters}
                    for collection in ("gradients", "weights", "relu_input")
                ),
            ],
        }
        config = self._folder / f"{name}.json"
        config.write_text(json.dumps(document), encoding="utf-8")
        hook = DebuggerHook(
            config,
            model=twin.model,
            loss_function=twin.loss_function,
            containment=Containment(name, on_failure=lambda: self._failed.append(name)),
            lean=False,  # as anybody else would use it
        )
        hook.set_mode("TRAIN")

        def clean() -> None:
            for kind in ("events", "index"):
                for old in sorted((out / kind).rglob("*"))[:-1]:
                    if old.is_file():
                        old.unlink()

        twin.after_cycle = clean
        return twin

    def check(self) -> None:
        """Raise RuntimeError when a hook failed on the way: its time would be that of no hook."""
        if self._failed:
            raise RuntimeError(f"hooks failed, see above: {self._failed}")


def chosen_stride(bench: Bench) -> int:
    """Return the stride that our hook chooses when it is free to."""
    twin = bench.ours(None)
    twin.settle(SETTLING)
    assert twin.recorder is not None
    twin.recorder.close()
    return twin.recorder.stride


def between_samples(bench: Bench) -> float:
    """Return the seconds that our hook takes for a step that it does not sample, timed alone.

    Its network passes on scores of the right shape; what that takes itself is taken off.
    """
    scores, model = torch.randn(BATCH, CLASSES), nn.Identity()
    recorder = bench.recorder("alone", model, 10**9)
    for _ in range(FIRST_STEPS):
        model(scores)
        recorder.before_update()
        recorder.end_step(1.0, 0.1)
    began = time.perf_counter()
    for _ in range(TIMED_ALONE):
        model(scores)
        recorder.before_update()
        recorder.end_step(1.0, 0.1)
    spent = time.perf_counter() - began
    recorder.close()
    began = time.perf_counter()
    for _ in range(TIMED_ALONE):
        model(scores)
    return (spent - (time.perf_counter() - began)) / TIMED_ALONE


def measure(cycles: int, folder: Path) -> dict[str, Any]:
    """Run everything; return the document that ``--json`` writes."""
    torch.set_num_threads(THREADS)
    bench = Bench(folder)
    stride, alone = chosen_stride(bench), between_samples(bench)
    ours = bench.ours(DENSE)
    theirs = {
        "smdebug, reductions": bench.smdebug("smdebug-reductions", "mean,std,min,max"),
        "smdebug, raw": bench.smdebug("smdebug-raw", None),
    }
    # Ours samples steps 0 and 1, then 1 + DENSE and so on; smdebug each that DENSE divides.
    ours.settle(FIRST_STEPS - 1 + DENSE)
    for twin in theirs.values():
        twin.settle(DENSE)
    for cycle in range(cycles):
        assert ours.recorder is not None
        if not ours.recorder.sampling:
            raise RuntimeError("the first step of a cycle is not a sampled one")
        ours.watched_cycle(in_turn=True)
        for twin in theirs.values():
            twin.watched_cycle(in_turn=False)
        print(f"cycle {cycle + 1}/{cycles}", file=sys.stderr, flush=True)
    bench.check()
    rows = [
        _control_row(ours.times),
        _default_row(ours.times, stride, alone),
        _row("ours", ours.times, DENSE, 0.10),
    ]
    for name, twin in theirs.items():
        rows += [_row(name, twin.times, every, None) for every in (SPARSE, DENSE)]
    return {
        "step_seconds": ours.times.median(PLAIN, "wall"),
        "stride": stride,
        "between_seconds": alone,
        "rows": rows,
        "versions": _versions(),
    }


def _row(name: str, times: Times, every: int, goal: float | None) -> dict[str, Any]:
    """Return the overhead of sampling every ``every``-th step."""
    plain = PLAIN if PLAIN in times.cycles[0] else BETWEEN

    def ratio(clock: Clock, chosen: Sequence[int]) -> float:
        sampled, between, usual = (
            times.median(kind, clock, chosen) for kind in (SAMPLED, BETWEEN, plain)
        )
        return (sampled + (every - 2) * between) / (every * usual)

    return {"what": f"{name}, every {every} steps", "goal": goal, **_by_clock(times, ratio)}


def _default_row(times: Times, stride: int, alone: float) -> dict[str, Any]:
    """Return the overhead at our own stride: what a sample adds, its share of it, and the rest.

    Steps between samples cost less than what tells one step's time from another's: they are timed
    alone.
    """

    def ratio(clock: Clock, chosen: Sequence[int]) -> float:
        sampled, between = (times.median(kind, clock, chosen) for kind in (SAMPLED, BETWEEN))
        return 1 + ((sampled - 2 * between) / stride + alone) / between

    return {"what": f"ours, every {stride} steps", "goal": 0.01, **_by_clock(times, ratio)}


def _control_row(times: Times) -> dict[str, Any]:
    def ratio(clock: Clock, chosen: Sequence[int]) -> float:
        some, others = (
            times.median(PLAIN, clock, chosen, slice(first, None, 2)) for first in (0, 1)
        )
        return others / some

    return {"what": "control: no hook beside no hook", "goal": None, **_by_clock(times, ratio)}


def _by_clock(times: Times, ratio: Callable[[Clock, Sequence[int]], float]) -> dict[str, Any]:
    count = len(times.cycles)
    clocks: tuple[Clock, ...] = ("wall", "cpu")
    return {
        clock: Overhead.over_cycles(count, functools.partial(ratio, clock)).document()
        for clock in clocks
    }


def _versions() -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import smdebug
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "smdebug": smdebug.__version__,
        "threads": THREADS,
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }


def print_table(found: dict[str, Any]) -> None:
    """Print the document as a table."""
    print(f"resnet18, {BATCH} images of {PIXELS} px, a plain step: {found['step_seconds']:.3f} s")
    between = 1e6 * found["between_seconds"]
    print(f"our hook chose a stride of {found['stride']} steps; {between:.0f} µs a step in between")
    print(f"{'':42}{'wall time':30}CPU time of the process")
    for row in found["rows"]:
        goal = f"goal {100 * row['goal']:.0f}%" if row["goal"] else ""
        wall, cpu = (str(Overhead(**row[clock])) for clock in ("wall", "cpu"))
        print(f"{row['what']:42}{wall:30}{cpu:30}{goal}")
    print(" ".join(f"{name}={value}" for name, value in found["versions"].items()))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--cycles", type=int, default=24, help="samples of each hook")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="whippet-bench-"))
    try:
        found = measure(arguments.cycles, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print_table(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
