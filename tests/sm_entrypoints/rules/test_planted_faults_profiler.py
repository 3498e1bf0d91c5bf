"""For every profiler rule a real training with a fault planted in it, and one without.

There is no GPU here: for the rules that compare a GPU with something, the fault is planted in the
system sampler's files of a real training.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from sm_entrypoints.contract import RULE_REPORTS_FOLDER, SYSTEM_FOLDER
from sm_entrypoints.images.batches import ImageData, Key, Samples
from sm_entrypoints.rules.catalogue import CPU_RULES, PROFILER_RULES
from sm_entrypoints.rules.judgement import judge
from sm_entrypoints.rules.profiler.timeline import loop_span
from tests.sm_entrypoints.planted import Run, Tiny, make_data, train

pytestmark = pytest.mark.slow

RULES = {rule.name for rule in (*PROFILER_RULES, *CPU_RULES)}
CORES = os.cpu_count() or 1


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_data(tmp_path_factory.mktemp("data") / "ch'ien d'été", train=60, valid=14)


class Solid(Tiny):
    """Enough to compute for a step to be computing: 3 ms an image at least, on any machine.

    A fast machine would be done before it is sampled often enough for the rules to speak. They are
    milliseconds of this thread's own: on a busy machine the rest of a step takes longer, too.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.fc = nn.Linear(256, num_classes)

    def features(self, images: Tensor) -> Tensor:
        end = time.thread_time() + 0.003 * len(images)
        features = super().features(images)
        while time.thread_time() < end:
            with torch.no_grad():
                self.conv2(self.conv1(images[:1]))
        return features


def planted(
    root: Path,
    channels: dict[str, Path],
    network: Callable[..., nn.Module] = Tiny,
    **changed: object,
) -> Run:
    """Train on one thread (several wait for each other on a busy machine), sampled every 100 ms."""
    config = root / "input/config"
    config.mkdir(parents=True)
    (config / "profilerconfig.json").write_text('{"ProfilingIntervalInMilliseconds": 100}')
    settings = {"threads": 1, "batch_size": 32, "lr": 0.003, **changed}
    run = train(root, channels, network, **settings)
    assert run.exit_code == 0, run.printed
    return run


def found(run: Run) -> set[str]:
    """Return the profiler rules that found something, from rules.json."""
    rules = run.rules()
    return {name for name in RULES if rules[name]["status"] == "IssuesFound"}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory, channels: dict[str, Path]) -> Run:
    """A training on the only core that it may use: nothing idles, and no thread waits for one."""
    root = tmp_path_factory.mktemp("clean") / "jøb"
    settings = {"batch_size": 16, "image_size": 48, "precision": "auto", "patience": 3}
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        run = planted(root, channels, Solid, epochs=8, **settings)
    finally:
        os.sched_setaffinity(0, cores)
    return run


def test_planted_faults_none_in_a_clean_run(clean: Run) -> None:
    assert found(clean) == set()
    verdict = clean.verdict()
    assert verdict["severity"] == "ok"
    # Of 42 images, one is often enough for a rule about losses to have something to say.
    quiet = all(rule["status"] != "IssuesFound" for rule in clean.rules().values())
    begin = "Nothing to change" if quiet else "Nothing worth a change"
    assert verdict["sentence"].startswith(f"{begin}: ")
    assert verdict["change"] is None
    assert verdict["evidence"]
    assert f"verdict: {verdict['sentence']}" in clean.printed.splitlines()[-2]
    reports = {file.stem for file in (clean.output / RULE_REPORTS_FOLDER).glob("*.json")}
    assert reports == set(clean.rules())
    judged = {name for name in RULES if clean.rules()[name]["status"] == "NoIssuesFound"}
    assert {"DataWait", "LowCPUUtilization", "MemoryGrowth", "StepOutlier"} <= judged
    assert {"BatchSizeThroughput", "Dataloader", "OverallSystemUsage", "IOWait"} <= judged


def test_planted_faults_sleep_in_the_loader(
    tmp_path: Path, channels: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    load = ImageData.__getitems__

    def slow(self: ImageData, keys: list[Key]) -> Samples:
        time.sleep(0.06)
        return load(self, keys)

    monkeypatch.setattr(ImageData, "__getitems__", slow)
    run = planted(tmp_path / "job", channels)
    assert {"DataWait", "Dataloader"} <= found(run)
    verdict = run.verdict()
    assert verdict["rule"] == "DataWait"
    assert verdict["change"] == {"num_workers": 2}
    assert verdict["expected_gain"]["kind"] == "speed"
    assert verdict["expected_gain"]["seconds"] > 0.4
    assert verdict["expected_gain"]["factor"] > 1.1


def test_planted_faults_batch_of_one(tmp_path: Path, channels: dict[str, Path]) -> None:
    run = planted(tmp_path / "job", channels, batch_size=1, epochs=8)
    assert "BatchSizeThroughput" in found(run)
    verdict = run.verdict()
    assert verdict["rule"] == "BatchSizeThroughput"
    assert verdict["change"]["batch_size"] >= 8
    assert verdict["expected_gain"]["factor"] > 1.2


def test_planted_faults_more_threads_than_cores(tmp_path: Path, channels: dict[str, Path]) -> None:
    run = planted(tmp_path / "job", channels, threads=8 * CORES, epochs=2)
    assert "ThreadOversubscription" in found(run)
    everything = [run.verdict(), *run.verdict()["others"]]
    told = next(one for one in everything if one["rule"] == "ThreadOversubscription")
    assert told["change"] == {"threads": CORES}


class Leaking(Tiny):
    """Keeps two megabytes of every training step.

    They are mapped, not allocated: the process may hold memory that earlier tests have freed.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.kept: list[mmap.mmap] = []

    def features(self, images: Tensor) -> Tensor:
        if self.training:
            self.kept.append(mmap.mmap(-1, 2_000_000))
            self.kept[-1].write(bytes([1]) * 2_000_000)
            time.sleep(0.015)
        return super().features(images)


def test_planted_faults_memory_creep(tmp_path: Path, channels: dict[str, Path]) -> None:
    run = planted(tmp_path / "job", channels, Leaking, batch_size=4, epochs=6)
    assert "MemoryGrowth" in found(run)
    verdict = run.verdict()
    assert verdict["rule"] == "MemoryGrowth"
    assert verdict["change"] is None
    assert run.rules()["MemoryGrowth"]["details"]["megabytes_per_epoch"] == pytest.approx(
        90, rel=0.5
    )


class Stalling(Tiny):
    """Sleeps for a second in every 25th training step, from the twelfth on."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.steps = 0

    def features(self, images: Tensor) -> Tensor:
        if self.training:
            self.steps += 1
            time.sleep(1 if self.steps % 25 == 12 else 0)
        return super().features(images)


def test_planted_faults_steps_that_stall(tmp_path: Path, channels: dict[str, Path]) -> None:
    run = planted(tmp_path / "job", channels, Stalling, batch_size=8, epochs=4)
    result = run.rules()["StepOutlier"]
    assert result["status"] == "IssuesFound"
    # Steps count from 0, and the network slept in its 12th, 37th, 62nd and 87th.
    stalled = {mark["step"] for mark in result["marks"]} & {11, 36, 61, 86}
    assert len(stalled) >= 3
    everything = [run.verdict(), *run.verdict()["others"]]
    assert "StepOutlier" in {one["rule"] for one in everything}


@pytest.mark.skipif(CORES == 1, reason="one thread uses the only core")
def test_planted_faults_one_thread_on_many_cores(tmp_path: Path, channels: dict[str, Path]) -> None:
    run = planted(tmp_path / "job", channels, Solid, image_size=48, epochs=7)
    result = run.rules()["LowCPUUtilization"]
    assert result["status"] == "IssuesFound"
    assert result["details"]["measured"] == "the training process"
    verdict = run.verdict()
    assert verdict["rule"] == "LowCPUUtilization"
    assert verdict["change"] == {"threads": CORES}


class SlowToBuild(Tiny):
    """Takes two seconds before it is there."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        time.sleep(2)


def test_planted_faults_slow_start(tmp_path: Path, channels: dict[str, Path]) -> None:
    run = planted(tmp_path / "job", channels, SlowToBuild, lr=0.01, epochs=2)
    # AWS's threshold of 20 minutes would make this a long test.
    verdict = judge(run.output, parameters={"MaxInitializationTime": {"threshold": 1 / 60}})
    assert run.rules()["MaxInitializationTime"]["status"] == "IssuesFound"
    assert verdict.finding.rule == "MaxInitializationTime"


def replaced(run: Run, folder: Path, **series: Callable[[float], float]) -> Run:
    """Copy a run and put ``series`` (name and dimension joined by __) in its samples' place.

    A function gets the share of the training that has passed, 0 to 1.
    """
    shutil.copytree(run.root, folder)
    first, last = loop_span(run.evidence())
    system = folder / "output/data" / SYSTEM_FOLDER
    shutil.rmtree(system)
    lines = []
    for index in range(60):
        share = index / 59
        for key, value in series.items():
            name, dimension = key.split("__")
            kind = "gpu" if name.startswith("gpu") else "cpu"
            line = {"Type": kind, "Name": name, "Dimension": _DIMENSIONS[dimension]}
            moment = first + share * (last - first)
            lines.append({**line, "Value": value(share), "NodeId": "algo-1", "Timestamp": moment})
    file = system / "2026112206/1795330320.algo-1.json"
    file.parent.mkdir(parents=True)
    file.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return Run(root=folder, exit_code=0, printed="")


_DIMENSIONS = {
    "use": "GPUUtilization",
    "memory": "GPUMemoryUtilization",
    "busy": "CPUUtilization",
    "wait": "I/OWaitPercentage",
}


def constant(value: float) -> Callable[[float], float]:
    return lambda share: value + 2 * math.sin(40 * share)


HEALTHY = {
    "gpu0__use": constant(90),
    "gpu1__use": constant(90),
    "gpu0__memory": constant(60),
    "gpu1__memory": constant(60),
    "cpu0__busy": constant(50),
    "cpu0__wait": constant(3),
}


@pytest.mark.parametrize(
    ("rule", "series"),
    [
        ("LowGPUUtilization", {"gpu0__use": constant(40)}),
        ("LowGPUUtilization", {"gpu0__use": lambda share: 95 if int(40 * share) % 2 else 3}),
        (
            "BatchSize",
            {"gpu0__use": constant(40), "gpu0__memory": constant(20), "cpu0__busy": constant(30)},
        ),
        ("CPUBottleneck", {"gpu0__use": constant(4), "cpu0__busy": constant(97)}),
        ("IOBottleneck", {"gpu0__use": constant(4), "cpu0__wait": constant(80)}),
        ("IOWait", {"cpu0__wait": constant(80)}),
        ("GPUMemoryIncrease", {"gpu1__memory": lambda share: 20 + 60 * share}),
        ("LoadBalancing", {"gpu1__use": constant(75)}),
    ],
)
def test_planted_faults_in_the_samples(
    tmp_path: Path, clean: Run, rule: str, series: dict[str, Callable[[float], float]]
) -> None:
    run = replaced(clean, tmp_path / "job", **{**HEALTHY, **series})
    judge(run.output)
    assert rule in found(run)
    everything = [run.verdict(), *run.verdict()["others"]]
    assert rule in {one["rule"] for one in everything}


def test_planted_faults_none_in_the_samples_of_a_healthy_gpu(tmp_path: Path, clean: Run) -> None:
    run = replaced(clean, tmp_path / "job", **HEALTHY)
    judge(run.output)
    assert found(run) == set()
    assert run.rules()["LoadBalancing"]["status"] == "NoIssuesFound"


def test_planted_faults_cover_every_profiler_rule() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    # These two only sum up; they never trigger.
    silent = {"OverallSystemUsage", "OverallFrameworkMetrics"}
    assert {name for name in RULES if f'"{name}"' not in source} <= silent
