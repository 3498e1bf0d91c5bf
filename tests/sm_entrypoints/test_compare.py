"""Real comparisons of tiny trainings: what must be kept, and what must not."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from sm_entrypoints.compare import main
from sm_entrypoints.comparison.decision import decide_on_speed
from sm_entrypoints.comparison.lane import Lane
from sm_entrypoints.comparison.quality import shortened
from sm_entrypoints.comparison.speed import Limits, compare_speed
from sm_entrypoints.contract import COMPARISON_FILE
from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.images.batches import ImageData, Key, Samples
from sm_entrypoints.images.channels import Splits, read_splits
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.job.processes import StopRequest
from sm_entrypoints.training.preparation import prepare
from sm_entrypoints.training.state import Feed, Training
from tests.printed_metrics import parse_metrics
from tests.sm_entrypoints.pictures import job_variables, make_channels

pytestmark = pytest.mark.slow

FAST = TrainingArguments(
    model="mobilenet_v3_small",
    image_size=32,
    batch_size=4,
    precision="float32",
    threads=1,
    num_workers=0,
    cache_features="false",
    instrumentation="off",
    epochs=3,
)
OPTIONS = [f"--{name}={getattr(FAST, name)}" for name in ("model", "image_size", "precision")]


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_channels(tmp_path_factory.mktemp("data") / "ch'ien d'été", train=8)


@pytest.fixture(autouse=True)
def _signals_and_threads() -> Iterator[None]:
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    yield
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(threads)


class SlowData(ImageData):
    """Images that take their time: waiting, not computing."""

    def __getitems__(self, keys: list[Key]) -> Samples:
        time.sleep(0.2)
        return super().__getitems__(keys)


def training(channels: dict[str, Path], *, slow: bool = False, **changes: Any) -> Training:
    arguments = replace(FAST, **changes)
    environment = Environment(channels=channels)
    made = prepare(arguments, environment, read_splits(channels), StopRequest())
    if not slow:
        return made.training
    data = SlowData(read_splits(channels).train, made.card, seed=arguments.seed)
    return replace(made.training, train=Feed(data=data, prepare=made.training.train.prepare))


def compared(a: Training, b: Training, seconds: float):
    lanes = {"A": Lane(a, threads=1), "B": Lane(b, threads=1)}
    limits = Limits(pairs=6, seconds=seconds)
    return compare_speed(lanes, limits, setup={"A": 0.1, "B": 0.1})


def test_workers_are_kept_where_the_loader_sleeps(channels: dict[str, Path]) -> None:
    # The head alone learns: next to the sleep there is little to compute, also on a busy machine.
    a, b = (training(channels, slow=True, trainable="head", num_workers=n) for n in (0, 2))
    found = compared(a, b, seconds=12)
    assert found is not None
    # Two workers make two batches while one is made without, so at most the time of the sleep is
    # halved; what they prefetched while the other variant ran would make it far less.
    assert found.seconds_per_image("A") > 0.05
    assert 0.025 * 0.95 < found.seconds_per_image("B") < found.seconds_per_image("A")
    decision = decide_on_speed(found, None, job_epochs=50, alters_numbers=False)
    assert decision.verdict == "kept", decision


def test_equal_variants_are_not_kept(channels: dict[str, Path]) -> None:
    found = compared(training(channels), training(channels), seconds=2)
    assert found is not None
    order = "".join(timing.variant for timing in found.timings)
    assert ("ABBA" * 50).startswith(order)
    assert 0.5 < found.ratio().value < 2
    decision = decide_on_speed(found, None, job_epochs=3, alters_numbers=False)
    assert decision.verdict != "kept", decision


def test_a_lane_goes_through_the_epochs_as_training_does(channels: dict[str, Path]) -> None:
    made = training(channels, num_workers=2)
    seen: list[tuple[int, ...]] = []
    data = made.train.data

    class Watched(Lane):
        def _learn(self, batches):
            kept = list(batches)
            seen.extend(tuple(batch.indices.tolist()) for batch in kept)
            return super()._learn(iter(kept))

    lane = Watched(made, threads=1)
    blocks = [lane.block(8) for _ in range(3)]
    assert all(block.images == 8 and block.seconds > 0 for block in blocks)
    assert all(block.lead_images == 12 for block in blocks)  # three steps for two workers
    assert len(data) == 24
    # What is fetched but not used is left out; within a block the order is that of an epoch.
    first = [index for batch in seen[:5] for index in batch]
    assert len(set(first)) == 20
    assert seen[:5] != seen[5:10]


def comparison(
    root: Path, channels: dict[str, Path], *argv: str, batch_size: int = 8
) -> dict[str, Any]:
    variables = job_variables(root, channels)
    code = main([*OPTIONS, "--threads=1", f"--batch_size={batch_size}", *argv], variables)
    failure = root / "output/failure"
    assert code == 0, failure.read_text("utf-8")
    found: dict[str, Any] = json.loads((root / "output/data" / COMPARISON_FILE).read_text("utf-8"))
    return found


def test_cached_features_are_kept_and_paid_once(
    tmp_path: Path, channels: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["--trainable=head", "--cache_features=false", "--num_workers=0", "--epochs=2"]
    change = '--change={"cache_features": "true"}'
    # Three times what it takes: the least pairs must fit on a busy machine, too.
    found = comparison(tmp_path, channels, *argv, change, "--seconds=24", "--job_epochs=200")
    assert (found["decision"], found["measure"]) == ("kept", "speed")
    assert found["before"] == {"cache_features": "false"}
    speed, job = found["speed"], found["job"]
    assert speed["ratio"]["high"] < 1
    assert speed["pairs"] >= 6
    assert len(speed["blocks"]) == 2 * speed["pairs"]
    assert (job["epochs"], job["images"]) == (200, 24)
    for name in ("A", "B"):
        epoch = 24 * speed["seconds_per_image"][name] + speed["epoch_start_seconds"][name]
        epoch += speed["validation_seconds"][name]
        assert job["seconds"][name] == pytest.approx(
            speed["one_time_seconds"][name] + 200 * epoch, rel=1e-6
        )
    assert job["saved_seconds"] > 0
    assert found["quality"] is None
    lines = list(filter(None, map(parse_metrics, capsys.readouterr().out.splitlines())))
    progress = [line["compare:progress"] for line in lines]
    assert progress == sorted(progress)
    assert progress[-1] == 1


def test_a_learning_rate_that_learns_is_kept(tmp_path: Path, channels: dict[str, Path]) -> None:
    argv = ["--trainable=head", "--optimizer=sgd", "--lr=100", "--label_smoothing=0.9"]
    argv += ["--cache_features=true", "--epochs=3", "--seconds=30", "--momentum=0.99"]
    found = comparison(tmp_path, channels, *argv, '--change={"lr": 0.001}')
    quality = found["quality"]
    assert len({run["seed"] for run in quality["runs"]}) >= 3
    assert (found["measure"], found["speed"]) == ("quality", None)
    assert found["job"]["seconds"]["A"] > 0
    assert [run["variant"] for run in quality["runs"][:4]] == ["A", "B", "B", "A"]
    assert found["decision"] == "kept", found["reason"]
    assert quality["mean_loss"]["A"] > 2 * quality["mean_loss"]["B"]


def test_larger_batches_are_faster_and_their_loss_is_looked_at(
    tmp_path: Path, channels: dict[str, Path]
) -> None:
    # From one picture a step: the difference is large on a busy machine, too.
    argv = ["--trainable=head", "--cache_features=false", "--num_workers=0", "--epochs=2"]
    change = '--change={"batch_size": 12}'
    found = comparison(tmp_path, channels, *argv, "--seconds=3", change, batch_size=1)
    assert found["measure"] == "speed"
    assert {run["variant"] for run in found["quality"]["runs"]} == {"A", "B"}
    assert found["speed"]["ratio"]["value"] < 1


def test_a_comparison_without_time_for_the_loss_decides_nothing(
    tmp_path: Path, channels: dict[str, Path]
) -> None:
    argv = ["--trainable=head", "--num_workers=0", "--epochs=1000", "--patience=3", "--seconds=1"]
    found = comparison(tmp_path, channels, *argv, '--change={"patience": 4}')
    assert (found["measure"], found["decision"]) == ("duration", "inconclusive")
    assert "in time: give more" in found["reason"]
    assert (found["speed"], found["quality"], found["job"]) == (None, None, None)


def test_a_stopped_comparison_says_so(tmp_path: Path, channels: dict[str, Path]) -> None:
    made = training(channels)
    asked = Limits(pairs=6, seconds=1, stopped=lambda: True)
    lanes = {name: Lane(made, threads=1) for name in ("A", "B")}
    assert compare_speed(lanes, asked, setup={"A": 0.0, "B": 0.0}) is None
    found = decide_on_speed(None, None, job_epochs=1, alters_numbers=False)
    assert found.verdict == "inconclusive"


def splits(train: int, valid: int) -> Splits:
    from sm_entrypoints.images.channels import Split

    made = {}
    for name, count in (("train", train), ("valid", valid)):
        labels = tuple(index % 2 for index in range(count))
        paths = tuple(f"{label}/{index}.jpg" for index, label in enumerate(labels))
        made[name] = Split(name=name, folder=Path(), paths=paths, labels=labels)
    return Splits(classes=("a", "b"), train=made["train"], valid=made["valid"], test=None)


def test_trainings_are_shortened_to_the_time() -> None:
    variants = {"A": replace(FAST, epochs=10), "B": replace(FAST, epochs=10, lr=0.1)}
    per_image, data = {"A": 0.01, "B": 0.01}, splits(80, 20)
    # Three seeds of ten epochs of 100 images of 10 ms each, twice: 60 s.
    kept, same = shortened(variants, per_image, data, 60)
    assert (kept["A"].epochs, len(same.train)) == (10, 80)
    fewer, same = shortened(variants, per_image, data, 30)
    assert (fewer["A"].epochs, fewer["B"].epochs, len(same.train)) == (5, 5, 80)
    least, part = shortened(variants, per_image, data, 6)
    assert (least["A"].epochs, len(part.train), len(part.valid)) == (2, 40, 10)
    assert sorted(set(part.train.labels)) == [0, 1]
    assert part.train.labels.count(0) == 20
    with pytest.raises(JobError, match="fewer than two per class; give more `seconds`"):
        shortened(variants, per_image, data, 0.6)


def test_epochs_that_are_compared_are_not_changed() -> None:
    variants = {"A": replace(FAST, epochs=2), "B": replace(FAST, epochs=6)}
    kept, part = shortened(variants, {"A": 0.01, "B": 0.01}, splits(80, 20), 12)
    assert (kept["A"].epochs, kept["B"].epochs) == (2, 6)
    assert len(part.train) == 40
    patient = {"A": replace(FAST, epochs=4), "B": replace(FAST, epochs=4, patience=1)}
    assert shortened(patient, {"A": 0.01, "B": 0.01}, splits(80, 20), 12)[0] == patient


def test_bad_hyperparameters_fail_before_any_work(
    tmp_path: Path, channels: dict[str, Path]
) -> None:
    variables = job_variables(tmp_path, channels)
    assert main(["--change={}"], variables) == 1
    assert "must be a JSON object" in (tmp_path / "output/failure").read_text("utf-8")


def test_several_processes_are_refused(tmp_path: Path, channels: dict[str, Path]) -> None:
    from sm_entrypoints.compare import run
    from sm_entrypoints.comparison.arguments import parse_comparison

    environment = Environment(channels=channels, world_size=2)
    with pytest.raises(JobError, match="runs in one process, but there are 2"):
        run(parse_comparison(['--change={"lr": 1}']), environment, StopRequest())
