"""What does looking at tensors cost a training, with our hook and with smdebug's?

    .venv-job/bin/python -m benchmarks.instrumentation_hook [--json FILE] [--rounds 4]

Steps of one network (ResNet18, all of it trained, 16 images of 64 pixels, SGD with momentum) in
blocks that take turns with a twin that nobody looks at, all in one process on two threads. The
same tensors are looked at: gradients, weights, inputs of ReLUs (ours also outputs, update ratios,
histograms). smdebug saves them raw, which is its default, and as reductions, which is what ours
compares with. A control compares two twins: further from 0 than that is noise. A block covers
several samples, or one, so a sample counts with its share of all steps.

smdebug's default, every 500 steps, is put together: a block of steps in which it saves nothing,
and the time of a step in which it saves, as a share of 500 steps. Takes about three minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

# As the local platform sets it for jobs, before torch starts its threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
import torchvision
from torch import Tensor, nn

from benchmarks.interleaving import Overhead, Pair
from sm_entrypoints.containment import Containment
from sm_entrypoints.debugger import DebuggerHook
from sm_entrypoints.reductions import ReductionRecorder

THREADS, BATCH, PIXELS, CLASSES = 2, 16, 64, 133
DENSE, BLOCK, SPARSE = 10, 10, 500
# Steps in which the adaptive stride finds its length before it is measured.
SETTLING = 60
GOALS = {"ours, adaptive stride": 0.01, "ours, every 10 steps": 0.10}

Hooked = Callable[["Twin"], None]


class Twin:
    """A network with its optimiser; every twin starts alike and sees the same batch."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        torch.manual_seed(0)
        self.model = torchvision.models.resnet18(num_classes=CLASSES)
        self.model = self.model.to(memory_format=torch.channels_last)
        self.loss_function = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-3, momentum=0.9)
        self.images, self.labels = images, labels
        self.recorder: ReductionRecorder | None = None

    def step(self) -> float:
        """Take one step; return its wall seconds without what the hook took."""
        began = time.perf_counter()
        loss = self.loss_function(self.model(self.images), self.labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        own = 0.0
        if self.recorder is not None:
            paused = time.perf_counter()
            own = self.recorder.own_seconds
            self.recorder.before_update()
            own += time.perf_counter() - paused
        self.optimizer.step()
        value = float(loss.detach())
        seconds = time.perf_counter() - began - own
        if self.recorder is not None:
            self.recorder.end_step(value, seconds)
        return seconds

    def block(self, steps: int) -> Callable[[], None]:
        """Return a function that takes ``steps`` steps."""

        def run() -> None:
            for _ in range(steps):
                self.step()

        return run


class Bench:
    """The twins, what looks at them, and the measurements."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(1)
        images = torch.randn(BATCH, 3, PIXELS, PIXELS).to(memory_format=torch.channels_last)
        self._batch = (images, torch.randint(0, CLASSES, (BATCH,)))
        self._folder = folder
        self._failed: list[str] = []
        self.plain = Twin(*self._batch)

    def control(self) -> Pair:
        """Return two twins that nobody looks at."""
        return self._pair("control: two plain twins", Twin(*self._batch), BLOCK)

    def ours(self, name: str, stride: int | None) -> tuple[Pair, ReductionRecorder]:
        """Return our hook at a fixed stride, or (None) at the one that it has chosen by now.

        A block is one stride long, so each holds one sample, as often as in a long run.
        """
        twin = Twin(*self._batch)
        recorder = ReductionRecorder(
            self._folder / name,
            twin.model,
            containment=Containment(name, on_failure=lambda: self._failed.append(name)),
            stride=stride,
            # As in a run of 10^5 steps, whose records are thinned only later.
            quota_bytes=1_000_000_000,
        )
        recorder.begin_epoch(1, "TRAIN", 0)
        twin.recorder = recorder
        twin.block(SETTLING)()
        return self._pair(name, twin, recorder.stride), recorder

    def smdebug(self, name: str, interval: int, reductions: str | None) -> tuple[Pair, Twin]:
        """Return smdebug's hook; what it writes is removed between the blocks."""
        twin, out = Twin(*self._batch), self._folder / name
        parameters = {"reductions": reductions} if reductions else {}
        document = {
            "LocalPath": str(out),
            "HookParameters": {"save_interval": str(interval)},
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
        containment = Containment(name, on_failure=lambda: self._failed.append(name))
        hook = DebuggerHook(
            config,
            model=twin.model,
            loss_function=twin.loss_function,
            containment=containment,
            lean=False,  # as anybody else would use it
        )
        hook.set_mode("TRAIN")

        def clean() -> None:
            for kind in ("events", "index"):
                for old in sorted((out / kind).rglob("*"))[:-1]:
                    if old.is_file():
                        old.unlink()

        pair = self._pair(name, twin, BLOCK)
        pair.clean = clean
        return pair, twin

    def check(self) -> None:
        """Raise RuntimeError when a hook failed on the way: its time would be that of no hook."""
        if self._failed:
            raise RuntimeError(f"hooks failed, see above: {self._failed}")

    def _pair(self, name: str, twin: Twin, steps: int) -> Pair:
        return Pair(name=name, plain=self.plain.block(steps), measured=twin.block(steps))


def measure(rounds: int, folder: Path) -> dict[str, Any]:
    """Run everything; return the document that ``--json`` writes."""
    torch.set_num_threads(THREADS)
    bench = Bench(folder)
    adaptive, adaptive_recorder = bench.ours("ours, adaptive stride", None)
    dense, _ = bench.ours("ours, every 10 steps", DENSE)
    reduced, _ = bench.smdebug("smdebug, every 10 steps, reductions", DENSE, "mean,std,min,max")
    raw, _ = bench.smdebug("smdebug, every 10 steps, raw", DENSE, None)
    idle, idle_twin = bench.smdebug("smdebug, armed, between saves", 1_000_000, None)
    pairs = [bench.control(), adaptive, dense, reduced, raw, idle]
    for pair in pairs:  # allocations and first samples
        pair.run_round()
        pair.wall.clear()
        pair.cpu.clear()
    del idle_twin
    for done in range(rounds):
        print(f"round {done + 1}/{rounds}", file=sys.stderr, flush=True)
        for pair in pairs:
            pair.run_round()
    bench.check()
    return {
        "step_seconds": _step_seconds(pairs[0]),
        "stride": adaptive_recorder.stride,
        "overhead": {pair.name: asdict(pair.overhead()) for pair in pairs},
        "cpu_overhead": {pair.name: asdict(pair.cpu_overhead()) for pair in pairs},
        "smdebug_every_500": _every_500(idle.overhead(), raw.overhead()),
        "goals": GOALS,
        "versions": _versions(),
    }


def _step_seconds(control: Pair) -> float:
    return sum(plain for plain, _ in control.wall) / (2 * BLOCK * len(control.wall))


def _every_500(idle: Overhead, dense: Overhead) -> dict[str, float]:
    """Return overheads at smdebug's default density: armed cost and saves at their share."""
    return {
        name: getattr(idle, name) + (getattr(dense, name) - getattr(idle, name)) * DENSE / SPARSE
        for name in ("value", "low", "high")
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
        "network": f"resnet18, {CLASSES} classes, {BATCH} images of {PIXELS} pixels, float32",
    }


def print_table(found: dict[str, Any]) -> None:
    """Print the document as a table."""
    milliseconds = 1000 * found["step_seconds"]
    print(f"plain step: {milliseconds:.0f} ms; stride that ours chose: {found['stride']} steps")
    print(f"{'':38} {'wall time':30} CPU time of the process")
    for name in found["overhead"]:
        wall, cpu = Overhead(**found["overhead"][name]), Overhead(**found["cpu_overhead"][name])
        goal = f"   goal {100 * GOALS[name]:.0f} %" if name in GOALS else ""
        print(f"{name:38} {wall!s:30} {cpu!s:30}{goal}")
    every = found["smdebug_every_500"]
    print(f"{'smdebug, every 500 steps, raw':38} {100 * every['value']:+7.2f} %  (put together)")
    print(" ".join(f"{name}={value}" for name, value in found["versions"].items()))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--rounds", type=int, default=4, help="ABBA rounds of each comparison")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="whippet-bench-"))
    try:
        found = measure(arguments.rounds, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print_table(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
