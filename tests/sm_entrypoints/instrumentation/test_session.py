"""The whole instrumentation on a small model: its files, its summary, and that it never raises."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sm_entrypoints.contract import STEP_PHASES
from sm_entrypoints.contract.tensor_records import TensorRecord
from sm_entrypoints.instrumentation.config import InstrumentationPlan
from sm_entrypoints.instrumentation.session import Instrumentation
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.rules.result import Mark

pytestmark = pytest.mark.slow

PHASES = {"data_wait", "transfer", "forward", "backward", "optimizer"}


def _environment(root: Path, *, rank: int = 0, **config: Any) -> Environment:
    folder = root / "input" / "config"
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in config.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return Environment(
        config_dir=folder, output_data_dir=root / "output" / "data", rank=rank, world_size=2
    )


def _train(
    environment: Environment, requested: str = "auto", steps: int = 3
) -> tuple[Instrumentation, list[float]]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3))
    loss_function = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    losses: list[float] = []
    with Instrumentation.from_environment(
        environment, model=model, loss_function=loss_function, requested=requested
    ) as instrumentation:
        for epoch in (1, 2):
            instrumentation.epoch(epoch, "TRAIN")
            for _ in range(steps):
                with instrumentation.phase("data_wait"):
                    images, labels = torch.randn(4, 6), torch.randint(0, 3, (4,))
                with instrumentation.phase("forward"):
                    loss = loss_function(model(images), labels)
                with instrumentation.phase("backward"):
                    optimizer.zero_grad()
                    loss.backward()
                with instrumentation.phase("optimizer"):
                    optimizer.step()
                instrumentation.step(4, loss)
                losses.append(float(loss.detach()))
            instrumentation.epoch(epoch, "EVAL")
            with torch.no_grad(), instrumentation.phase("forward"):
                loss = loss_function(model(torch.randn(4, 6)), torch.randint(0, 3, (4,)))
            instrumentation.step(4, float(loss))
    return instrumentation, losses


def test_every_file_is_there_and_agrees(tmp_path: Path) -> None:
    profiler = {"DisableProfiler": False, "ProfilingIntervalInMilliseconds": 100}
    environment = _environment(tmp_path / "job été's", profilerconfig=profiler)
    instrumentation, losses = _train(environment)
    summary = instrumentation.close()
    folder = environment.output_data_dir / "instrumentation"
    assert json.loads((folder / "summary.json").read_text()) == summary
    assert summary["steps"] == {"TRAIN": 6, "EVAL": 2}
    assert set(summary["phase_seconds"]["TRAIN"]) == PHASES == set(STEP_PHASES)
    assert summary["system"]["interval_ms"] == 100
    assert summary["smdebug"] is None
    assert summary["workers"] == 0
    assert summary["cores"] == os.cpu_count()
    assert summary["threads"] == torch.get_num_threads()
    assert summary["failure"] is None
    assert summary["stride"] >= 20
    assert 0 < summary["overhead_seconds"] < 10
    with (folder / "steps.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    records = [json.loads(line) for line in (folder / "reductions.jsonl").read_text().splitlines()]
    assert len(records) == summary["reductions"]["records"]
    recorded = [r["mean"] for r in records if r["collection"] == "losses" and r["mode"] == "TRAIN"]
    assert recorded == pytest.approx(losses, rel=1e-4)
    assert {r["collection"] for r in records} == {
        "losses",
        "gradients",
        "weights",
        "relu_input",
        "relu_output",
        "update_ratios",
        "inputs",
        "outputs",
    }


def test_measuring_does_not_change_the_training(tmp_path: Path) -> None:
    _, plain = _train(_environment(tmp_path / "off"), "off", steps=5)
    _, measured = _train(_environment(tmp_path / "on"), "on", steps=5)
    assert plain == measured


@pytest.mark.parametrize(
    ("requested", "config", "enabled", "interval"),
    [
        ("auto", {}, False, 500),
        ("auto", {"profilerconfig": {"DisableProfiler": True}}, False, None),
        ("auto", {"profilerconfig": {}}, True, 500),
        ("auto", {"profilerconfig": {"ProfilingIntervalInMilliseconds": 1000}}, True, 1000),
        ("auto", {"debughookconfig": {}}, True, 500),
        (
            "auto",
            {"debughookconfig": {}, "profilerconfig": {"DisableProfiler": True}},
            True,
            None,
        ),
        ("on", {}, True, 500),
        ("off", {"profilerconfig": {}, "debughookconfig": {}}, False, None),
    ],
)
def test_the_configuration_decides(
    tmp_path: Path, requested: str, config: dict[str, Any], enabled: bool, interval: int | None
) -> None:
    environment = _environment(tmp_path, **config)
    plan = InstrumentationPlan.from_config(environment.config_dir, requested, {})
    assert plan.enabled is enabled
    assert plan.interval_ms == interval
    assert (plan.hook_config is not None) == ("debughookconfig" in config and requested != "off")


def test_variables_move_the_configuration(tmp_path: Path) -> None:
    moved = tmp_path / "hook.json"
    moved.write_text("{}")
    plan = InstrumentationPlan.from_config(
        tmp_path, "auto", {"SMDEBUG_CONFIG_FILE_PATH": str(moved)}
    )
    assert plan.enabled
    assert plan.hook_config == moved


@pytest.mark.parametrize("requested", ["off", "auto"])
def test_nothing_is_written_when_nothing_is_asked(tmp_path: Path, requested: str) -> None:
    environment = _environment(tmp_path)
    instrumentation, _ = _train(environment, requested)
    assert not instrumentation.enabled
    assert instrumentation.close() == {}
    assert not environment.output_data_dir.exists()


def test_only_the_leader_measures(tmp_path: Path) -> None:
    environment = _environment(tmp_path, rank=1, profilerconfig={})
    instrumentation, _ = _train(environment)
    assert instrumentation.close() == {}
    assert not environment.output_data_dir.exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("profilerconfig", {"ProfilingIntervalInMilliseconds": 250}, "250"),
        ("profilerconfig", {"ProfilingIntervalInMilliseconds": "often"}, "often"),
        ("profilerconfig", [1], "JSON object"),
    ],
)
def test_a_bad_configuration_ends_the_instrumentation_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: Any, said: str
) -> None:
    instrumentation, losses = _train(_environment(tmp_path, **{name: content}))
    assert len(losses) == 6
    assert not instrumentation.enabled
    output = capsys.readouterr().out
    assert output.count("training continues") == 1
    assert said in output


def test_a_folder_that_cannot_be_written_ends_the_instrumentation_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = _environment(tmp_path, profilerconfig={})
    environment.output_data_dir.parent.mkdir(parents=True)
    environment.output_data_dir.write_text("a file where the folder should be")
    instrumentation, losses = _train(environment)
    assert len(losses) == 6
    assert instrumentation.close() == {}
    assert capsys.readouterr().out.count("training continues") == 1


@pytest.mark.parametrize("name", ["steps.csv", "reductions.jsonl", "histograms.jsonl"])
def test_a_full_disk_ends_the_instrumentation_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    _, plain = _train(_environment(tmp_path / "off"), "off", steps=120)
    environment = _environment(tmp_path / "on", profilerconfig={})
    folder = environment.output_data_dir / "instrumentation"
    folder.mkdir(parents=True)
    # Linux: whatever is written there meets "no space left on device".
    (folder / name).symlink_to("/dev/full")
    instrumentation, losses = _train(environment, steps=120)
    assert losses == plain
    assert not instrumentation.enabled
    output = capsys.readouterr().out
    assert output.count("training continues") == 1
    assert "No space left on device" in output


def test_misuse_ends_the_instrumentation_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = _environment(tmp_path, profilerconfig={})
    model = nn.Linear(2, 2)
    instrumentation = Instrumentation.from_environment(
        environment, model=model, loss_function=nn.CrossEntropyLoss(), requested="auto"
    )
    with instrumentation.phase("lunch"):
        pass
    assert not instrumentation.enabled
    instrumentation.step(1, 0.5)
    summary = instrumentation.close()
    assert "lunch" in summary["failure"]
    assert len(model._forward_hooks) == 0
    assert capsys.readouterr().out.count("training continues") == 1


def test_an_error_of_the_training_is_not_swallowed(tmp_path: Path) -> None:
    environment = _environment(tmp_path, profilerconfig={})
    model = nn.Linear(2, 2)
    instrumentation = Instrumentation.from_environment(
        environment, model=model, loss_function=nn.CrossEntropyLoss(), requested="auto"
    )
    with pytest.raises(ZeroDivisionError), instrumentation, instrumentation.phase("forward"):
        raise ZeroDivisionError
    summary = json.loads(
        (environment.output_data_dir / "instrumentation" / "summary.json").read_text()
    )
    assert summary["failure"] is None


KILLED = """
import sys, time, torch
from pathlib import Path
from torch import nn
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.instrumentation.session import Instrumentation
root = Path(sys.argv[1])
environment = Environment(config_dir=root, output_data_dir=root / "data")
instrumentation = Instrumentation.from_environment(
    environment, model=nn.Linear(2, 2), loss_function=nn.CrossEntropyLoss(), requested="on"
)
instrumentation.epoch(1, "TRAIN")
for step in range(450):
    with instrumentation.phase("forward"):
        pass
    instrumentation.step(1, 0.5)
print("ready", flush=True)
time.sleep(60)
"""


def test_a_killed_job_keeps_its_measurements(tmp_path: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[3],
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    time.sleep(0.1)
    child.kill()
    child.wait(timeout=30)
    child.stdout.close()
    folder = tmp_path / "data" / "instrumentation"
    rows = (folder / "steps.csv").read_text().splitlines()
    assert len(rows) >= 401
    assert all(json.loads(line) for line in (folder / "reductions.jsonl").read_text().splitlines())


class Stopper:
    """Asks for a stop at step 2; the records that it saw are those of the file, and more."""

    def __init__(self) -> None:
        self.stopped_by: Mark | None = None

    def observe(self, record: TensorRecord) -> None:
        if record.step == 2:
            self.stopped_by = Mark(
                step=2, epoch=1, mode="TRAIN", subject=record.name, message="enough"
            )


def test_a_watch_asks_for_a_stop(tmp_path: Path) -> None:
    instrumentation = Instrumentation.from_environment(
        _environment(tmp_path, profilerconfig={"DisableProfiler": True}),
        model=nn.Linear(2, 2),
        loss_function=nn.CrossEntropyLoss(),
        requested="on",
        watch=Stopper(),
    )
    asked = []
    with instrumentation:
        instrumentation.epoch(1, "TRAIN")
        for _ in range(4):
            instrumentation.step(1, 0.5)
            asked.append(instrumentation.stop_requested)
    assert asked[:2] == [None, None]
    assert (
        asked[2]
        == asked[3]
        == Mark(step=2, epoch=1, mode="TRAIN", subject="loss", message="enough")
    )


def test_hook_parameters_of_ours_are_read(tmp_path: Path) -> None:
    parameters = {"whippet.save_interval": "7", "whippet.quota_bytes": "1000"}
    environment = _environment(tmp_path, debughookconfig={"HookParameters": parameters})
    plan = InstrumentationPlan.from_config(environment.config_dir, "auto", {})
    assert (plan.stride, plan.quota_bytes) == (7, 1000)
    environment = _environment(
        tmp_path, debughookconfig={"HookParameters": {"whippet.save_interval": "often"}}
    )
    with pytest.raises(ValueError, match="often"):
        InstrumentationPlan.from_config(environment.config_dir, "auto", {})
