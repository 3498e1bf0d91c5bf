"""What the profiler costs a training: sampler, step phases, waiting window, window itself.

    .venv-job/bin/python -m benchmarks.instrumentation_profiler [--seconds 60] [--json FILE]

Runs in the job environment, about two minutes. Everything is CPU time of one process with one
thread, so that other programs of the machine disturb little. Steps are compared in blocks of one
process, in the order A B C C B A; the interval is that of the median of the rounds' ratios (sign
test, at least 95%). Peers: a plain psutil loop, and torch.profiler switched on all the time.
smdebug has no sampler of its own (SageMaker's agent wrote those files).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import torch
from torch.profiler import ProfilerActivity, profile
from torchvision.models import resnet18

from sm_entrypoints.comparison.intervals import median_estimate
from sm_entrypoints.contract import STEP_PHASES
from sm_entrypoints.instrumentation.phases import StepRecorder
from sm_entrypoints.instrumentation.profiler.operator_table import operators
from sm_entrypoints.instrumentation.profiler.operators import MOST_STEPS, OperatorWindow
from sm_entrypoints.instrumentation.profiler.workers import Making, WorkerRecorder

_SAMPLERS = (("ours", 500), ("ours", 100), ("psutil", 500), ("psutil", 100))
_ROUNDS, _BLOCK = 12, 4
_TRAININGS = (40, 60, 300)
Row = tuple[str, str, str]


class Training:
    """Steps of a resnet18 on four small images."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = resnet18(num_classes=10).train()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01, momentum=0.9)
        self.images, self.labels = torch.randn(4, 3, 64, 64), torch.randint(10, (4,))

    def step(self) -> None:
        """Learn once."""
        loss = torch.nn.functional.cross_entropy(self.model(self.images), self.labels)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()


class Armed:
    """The same steps with phases, workers and a window that waits."""

    def __init__(self, folder: Path, training: Training, *, steps_per_epoch: int, epochs: int):
        self.training = training
        self.steps = StepRecorder(folder / "steps.csv")
        self.workers = WorkerRecorder(folder / "workers.csv", on_new_process=lambda _: None)
        self.window = OperatorWindow(folder, self.steps)
        self.window.schedule(steps_per_epoch, epochs)
        self.begin()

    def begin(self) -> None:
        """Begin an epoch."""
        self.window.begin_epoch(training=True)
        self.steps.begin_epoch(1, "TRAIN")

    def step(self) -> None:
        """Learn once, recorded as the training loop records it."""
        making = Making.since(time.time(), time.perf_counter())
        self.workers.write(making, 8, "TRAIN")
        for name in STEP_PHASES:
            with self.window.annotate(name, self.steps.phase(name)):
                if name == "forward":
                    self.training.step()
        self.window.after_step(self.steps.end_step(4), watched=False)

    def close(self) -> None:
        """Close the files."""
        self.window.close()
        self.steps.close()
        self.workers.close()


def cpu_seconds(work: Callable[[], object], times: int = 1) -> float:
    """Return the CPU time of doing ``work`` that many times."""
    began = time.process_time()
    for _ in range(times):
        work()
    return time.process_time() - began


def samplers(folder: Path, seconds: float) -> list[dict[str, Any]]:
    """Return the cost of each sampler in its own process, all running at the same time."""
    children = []
    for kind, interval in _SAMPLERS:
        place = folder / f"{kind}-{interval}"
        place.mkdir()
        command = [sys.executable, "-m", "benchmarks.sampler_child"]
        command += [kind, str(interval), str(seconds), str(place)]
        children.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    found = []
    for child, (kind, interval) in zip(children, _SAMPLERS, strict=True):
        said, _ = child.communicate(timeout=seconds + 120)
        if child.returncode:
            raise SystemExit(f"the sampler {kind} at {interval} ms failed")
        found.append({"sampler": kind, "interval_ms": interval, **json.loads(said)})
    return found


def blocks(folder: Path) -> dict[str, Any]:
    """Return the relative cost of armed steps and of torch.profiler always on, and a step's time.

    Starting torch.profiler, and making its table and trace, is not part of the block.
    """
    training = Training()
    armed = Armed(folder, training, steps_per_epoch=10**9, epochs=2)

    def always() -> float:
        with profile(activities=[ProfilerActivity.CPU], acc_events=False):
            return cpu_seconds(training.step, _BLOCK)

    variants: dict[str, Callable[[], float]] = {
        "plain": lambda: cpu_seconds(training.step, _BLOCK),
        "armed": lambda: cpu_seconds(armed.step, _BLOCK),
        "always": always,
    }
    for measure in variants.values():
        measure()
    rounds: list[dict[str, float]] = []
    for _ in range(_ROUNDS):
        spent = dict.fromkeys(variants, 0.0)
        for name in (*variants, *reversed(variants)):
            spent[name] += variants[name]()
        rounds.append(spent)
    armed.close()
    plain = statistics.median(each["plain"] for each in rounds) / (2 * _BLOCK)
    result: dict[str, Any] = {"step_seconds": plain, "rounds": _ROUNDS}
    for name in ("armed", "always"):
        ratios = [each[name] / each["plain"] - 1 for each in rounds]
        result[name] = median_estimate(ratios).document()
    return result


def recording(folder: Path) -> dict[str, float]:
    """Return the seconds that recording takes for a step, for a batch, and for waiting."""
    steps = StepRecorder(folder / "recorded.csv")
    workers = WorkerRecorder(folder / "made.csv", on_new_process=lambda _: None)
    window = OperatorWindow(folder, steps)
    window.schedule(10**9, 2)
    timer = steps.phase("forward")

    def record() -> None:
        for name in STEP_PHASES:
            with steps.phase(name):
                pass
        steps.end_step(8)

    def make() -> None:
        workers.write(Making.since(time.time(), time.perf_counter()), 8, "TRAIN")

    def wait() -> None:
        for name in STEP_PHASES:
            window.annotate(name, timer)
        window.after_step(0.01, watched=False)

    count = 20_000
    result = {
        name: cpu_seconds(work, count) / count
        for name, work in (("step", record), ("batch", make), ("waiting", wait))
    }
    steps.close()
    workers.close()
    return result


def windows(folder: Path, step_seconds: float) -> dict[str, Any]:
    """Return the CPU seconds that a window of one and of three steps adds, everything included."""
    result: dict[str, Any] = {}
    for epochs, wanted in ((2, 1), (10**6, MOST_STEPS)):
        added = []
        for _ in range(5):
            armed = Armed(folder, Training(), steps_per_epoch=5, epochs=epochs)
            armed.step(), armed.step()
            armed.begin()
            began = time.process_time()
            for _ in range(wanted + 1):
                armed.step()
            spent = time.process_time() - began
            summary = armed.window.summary()
            armed.close()
            if summary is None or summary["steps"] != wanted:
                raise SystemExit(f"the window has {summary}, not {wanted} steps")
            added.append(spent - (wanted + 1) * step_seconds)
            result[f"trace_bytes_{wanted}"] = summary["trace_bytes"]
        result[f"steps_{wanted}"] = statistics.median(added)
    return result


def tables(folder: Path) -> dict[str, float]:
    """Return the CPU seconds of torch's operator table and of ours, of one step."""
    training, path = Training(), folder / "trace.json"
    training.step()
    with profile(activities=[ProfilerActivity.CPU], acc_events=False) as profiled:
        training.step()
    profiled.export_chrome_trace(str(path))
    theirs = cpu_seconds(profiled.key_averages)
    ours = cpu_seconds(lambda: operators(json.loads(path.read_bytes())["traceEvents"]))
    return {"key_averages": theirs, "ours": ours}


def measure(seconds: float) -> dict[str, Any]:
    """Return everything, with the versions it was measured with."""
    torch.set_num_threads(1)
    os.environ["KINETO_LOG_LEVEL"] = "99"  # it reports every start, and the missing GPU
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found: dict[str, Any] = {"samplers": samplers(folder, seconds), **blocks(folder)}
        found["recording"] = recording(folder)
        found["windows"] = windows(folder, found["step_seconds"])
        found["tables"] = tables(folder)
    sampler = found["samplers"][0]["share"]
    recorded = (found["recording"]["step"] + found["recording"]["batch"]) / found["step_seconds"]
    waiting = found["recording"]["waiting"] / found["step_seconds"]
    found["whole"] = {}
    for length in _TRAININGS:
        steps = 3 if 0.01 * length > found["windows"]["steps_3"] else 1
        window = found["windows"][f"steps_{steps}"] / length
        found["whole"][length] = sampler + recorded + waiting + window
    found["versions"] = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "psutil": psutil.__version__,
        "load_average": psutil.getloadavg()[0],
    }
    return found


def rows(found: dict[str, Any]) -> list[Row]:
    """Return the lines of the table: what, how much, the goal."""
    table: list[Row] = []
    goals = {("ours", 500): "≤ 0.3%, ≤ 15 MB", ("ours", 100): "≤ 1%"}
    for each in found["samplers"]:
        kind, interval = each["sampler"], each["interval_ms"]
        cost = f"{each['share']:.2%} of a core, {each['megabytes']:.1f} MB"
        what = "sampler" if kind == "ours" else "plain psutil loop"
        table.append((f"{what}, {interval} ms", cost, goals.get((kind, interval), "")))
    spent = {name: f"{1e6 * value:.1f} µs" for name, value in found["recording"].items()}
    table.append(("a row of steps.csv, five phases", spent["step"], "< 20 µs"))
    table.append(("a row of workers.csv", spent["batch"], "≤ 50 µs"))
    share = found["recording"]["waiting"] / found["step_seconds"]
    table.append(("window waiting, a step", f"{spent['waiting']}, {share:.3%}", "≤ 0.2%"))
    for name, what, goal in (
        ("armed", "all of that, measured on steps", "≤ 1%"),
        ("always", "torch.profiler always on", ""),
    ):
        estimate = found[name]
        interval = f"{estimate['low']:+.1%} to {estimate['high']:+.1%}"
        table.append((what, f"{estimate['value']:+.2%} ({interval})", goal))
    for steps in (1, 3):
        table.append(
            (f"window of {steps} steps", f"{found['windows'][f'steps_{steps}']:.2f} s", "")
        )
    table.append(("operator table of a step", f"{1e3 * found['tables']['ours']:.0f} ms", ""))
    theirs = f"{1e3 * found['tables']['key_averages']:.0f} ms"
    table.append(("… by key_averages()", theirs, ""))
    for length, value in found["whole"].items():
        table.append((f"whole profiler, training of {length} s", f"{value:.2%}", "≤ 1%"))
    return table


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to sample")
    parser.add_argument("--json", type=Path, help="write everything measured to this file")
    chosen = parser.parse_args()
    found = measure(chosen.seconds)
    print(f"profiler ({', '.join(f'{name} {value}' for name, value in found['versions'].items())})")
    print(f"step of {1e3 * found['step_seconds']:.0f} ms (resnet18, 4 images of 64 px, one thread)")
    for what, cost, goal in rows(found):
        print(f"  {what:38}{cost:34}{goal}")
    if chosen.json:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
