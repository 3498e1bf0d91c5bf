"""What does looking at tensors cost a training, with our hook and with smdebug's?

    .venv-job/bin/python -m benchmarks.instrumentation_hook [--json FILE] [--cycles 12]

Steps of one network (ResNet18, all of it trained, 16 images of 64 pixels, SGD with momentum), in
one process on two threads: blocks of ten steps of a twin that nobody looks at take turns with
blocks of twins that are looked at, in an order that rotates. Every block but the control's holds
one step that is looked at. The same tensors are looked at: gradients, weights, inputs of ReLUs
(ours also outputs, update ratios, histograms). smdebug saves them raw, which is its default, and
as reductions, which is what ours compares with. The control is a second plain twin: what it shows
is noise.

A step's cost is the median of its kind, so that a pause of the machine is nobody's cost; the
overhead at a stride is (stride - 1) unwatched steps and one watched step by as many plain ones,
with a 95 % bootstrap interval over the cycles. So the steps at every 10 are measured, and those at
a longer stride put together from the same two medians.
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
from pathlib import Path
from typing import Any

# As the local platform sets it for jobs, before torch starts its threads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch
import torchvision
from torch import Tensor, nn

from benchmarks.interleaving import Overhead, StepTimes
from sm_entrypoints.containment import Containment
from sm_entrypoints.debugger import DebuggerHook
from sm_entrypoints.reductions import ReductionRecorder
from sm_entrypoints.sampling import FIRST_STEPS

THREADS, BATCH, PIXELS, CLASSES = 2, 16, 64, 133
DENSE, SPARSE = 10, 500
# Steps in which the adaptive stride finds its length.
SETTLING = 25
PLAIN, CONTROL, OURS = "plain", "control: a second plain twin", "ours"
SMDEBUG_REDUCTIONS, SMDEBUG_RAW = "smdebug, reductions", "smdebug, raw"


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
        self.after_block: Callable[[], None] = lambda: None
        self.times = StepTimes()
        self._taken = 0

    def step(self) -> None:
        """Take one step, and tell the recorder what a training loop tells it."""
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
        if self.recorder is not None:
            self.recorder.end_step(value, time.perf_counter() - began - own)
        self._taken += 1

    def block(self, *, watch: bool) -> None:
        """Take ``DENSE`` steps and note their times; tell which of them are looked at."""
        self.times.begin_cycle()
        for _ in range(DENSE):
            watched = watch and self._watched()
            with self.times.step(watched=watched):
                self.step()
        self.after_block()

    def settle(self, steps: int) -> None:
        """Take steps that do not count: allocations, first samples."""
        for _ in range(steps):
            self.step()
        self.after_block()

    def _watched(self) -> bool:
        # smdebug counts steps from 0 as we do, and saves those that its interval divides.
        return self._taken % DENSE == 0 if self.recorder is None else self.recorder.sampling


class Bench:
    """The twins and what looks at them."""

    def __init__(self, folder: Path) -> None:
        torch.manual_seed(1)
        images = torch.randn(BATCH, 3, PIXELS, PIXELS).to(memory_format=torch.channels_last)
        self._batch = (images, torch.randint(0, CLASSES, (BATCH,)))
        self._folder = folder
        self._failed: list[str] = []

    def plain(self) -> Twin:
        """Return a twin that nobody looks at."""
        return Twin(*self._batch)

    def ours(self, stride: int | None) -> Twin:
        """Return a twin with our hook at a fixed stride, or (None) at one that it chooses."""
        twin = self.plain()
        twin.recorder = ReductionRecorder(
            self._folder / f"ours-{stride}",
            twin.model,
            containment=Containment(OURS, on_failure=lambda: self._failed.append(OURS)),
            stride=stride,
            # As in a run of 10^5 steps, whose records are thinned only later.
            quota_bytes=1_000_000_000,
        )
        twin.recorder.begin_epoch(1, "TRAIN", 0)
        return twin

    def smdebug(self, name: str, reductions: str | None) -> Twin:
        """Return a twin with smdebug's hook; what it writes is removed after every block."""
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

        twin.after_block = clean
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


def measure(cycles: int, folder: Path) -> dict[str, Any]:
    """Run everything; return the document that ``--json`` writes."""
    torch.set_num_threads(THREADS)
    bench = Bench(folder)
    stride = chosen_stride(bench)
    twins = {
        PLAIN: bench.plain(),
        CONTROL: bench.plain(),
        OURS: bench.ours(DENSE),
        SMDEBUG_REDUCTIONS: bench.smdebug("smdebug-reductions", "mean,std,min,max"),
        SMDEBUG_RAW: bench.smdebug("smdebug-raw", None),
    }
    for twin in twins.values():
        twin.settle(DENSE + FIRST_STEPS - 1 if twin.recorder else DENSE)
    names = [*twins]
    for cycle in range(cycles):
        turn = cycle % len(names)
        for name in (*names[turn:], *names[:turn]):
            twins[name].block(watch=name not in (PLAIN, CONTROL))
        print(f"cycle {cycle + 1}/{cycles}", file=sys.stderr, flush=True)
    bench.check()
    times = {name: twin.times for name, twin in twins.items()}
    return {
        "step_seconds": times[PLAIN].median("wall", watched=False),
        "stride": stride,
        "rows": _rows(times, stride),
        "versions": _versions(),
    }


def _rows(times: dict[str, StepTimes], stride: int) -> list[dict[str, Any]]:
    wanted = (
        (CONTROL, DENSE, None),
        (OURS, stride, 0.01),
        (OURS, SPARSE, 0.01),
        (OURS, DENSE, 0.10),
        (SMDEBUG_REDUCTIONS, SPARSE, None),
        (SMDEBUG_REDUCTIONS, DENSE, None),
        (SMDEBUG_RAW, SPARSE, None),
        (SMDEBUG_RAW, DENSE, None),
    )
    rows = []
    for name, every, goal in wanted:
        what = name if name == CONTROL else f"{name}, every {every} steps"
        found = {
            clock: Overhead.of_steps(times[PLAIN], times[name], clock, every).document()
            for clock in ("wall", "cpu")
        }
        rows.append({"what": what, "goal": goal, **found})
    return rows


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
    print(f"our hook chose a stride of {found['stride']} steps")
    print(f"{'':40}{'wall time':30}CPU time of the process")
    for row in found["rows"]:
        goal = f"goal {100 * row['goal']:.0f} %" if row["goal"] else ""
        wall, cpu = (str(Overhead(**row[clock])) for clock in ("wall", "cpu"))
        print(f"{row['what']:40}{wall:30}{cpu:30}{goal}")
    print(" ".join(f"{name}={value}" for name, value in found["versions"].items()))


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--cycles", type=int, default=12, help="blocks of every kind of step")
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
