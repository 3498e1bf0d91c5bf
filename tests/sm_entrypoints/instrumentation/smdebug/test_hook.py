"""The real smdebug hook, driven by debughookconfig.json and read back by ``create_trial``.

In processes of their own: smdebug keeps its state, its logging and its configuration in globals.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sm_entrypoints.pictures import job_variables, make_channels, start_training

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).resolve().parents[4]

TRAIN = """
import json, sys, torch, torchvision
from pathlib import Path
from torch import nn
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.instrumentation.session import Instrumentation

torch.set_num_threads(1)
torch.manual_seed(0)
root, autocast = Path(sys.argv[1]), sys.argv[2] == "bfloat16"
environment = Environment(config_dir=root / "config", output_data_dir=root / "data")
model = torchvision.models.resnet18(num_classes=3)
for name, parameter in model.named_parameters():
    parameter.requires_grad = name.startswith("fc")
loss_function = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.fc.parameters(), lr=0.1)
images, labels = torch.randn(2, 3, 32, 32), torch.tensor([0, 1])
with Instrumentation.from_environment(
    environment, model=model, loss_function=loss_function, requested="auto"
) as instrumentation:
    for epoch in (1, 2):
        instrumentation.epoch(epoch, "TRAIN")
        for step in range(4):
            with instrumentation.phase("forward"), torch.autocast("cpu", torch.bfloat16, autocast):
                loss = loss_function(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            with instrumentation.phase("optimizer"):
                optimizer.step()
            instrumentation.step(2, loss)
        instrumentation.epoch(epoch, "EVAL")
        for step in range(3):
            with torch.no_grad(), instrumentation.phase("forward"):
                loss = loss_function(model(images), labels)
            instrumentation.step(2, loss)
print("SUMMARY", json.dumps(instrumentation.close()))
"""

READ = """
from smdebug import modes
from smdebug.trials import create_trial

trial = create_trial(sys.argv[3])
loss = trial.tensor("CrossEntropyLoss_output_0")
print("TRIAL", json.dumps({
    "names": trial.tensor_names(),
    "train": loss.steps(mode=modes.TRAIN),
    "eval": loss.steps(mode=modes.EVAL),
    "gradient": trial.tensor("gradient/ResNet_fc.weight").steps(mode=modes.TRAIN),
    "loss": float(loss.value(0, mode=modes.TRAIN)),
}))
"""

CONFIG = {
    "S3OutputPath": "s3://bucket/job",
    "HookParameters": {"train.save_interval": "2", "eval.save_interval": "1"},
    "CollectionConfigurations": [
        {"CollectionName": "losses"},
        {"CollectionName": "gradients"},
        {
            "CollectionName": "relu_input",
            "CollectionParameters": {"include_regex": ".*relu_input", "reductions": "mean,std"},
        },
        {"CollectionName": "relu_output", "CollectionParameters": {"save_interval": "4"}},
    ],
}


def _train(
    root: Path,
    config: dict[str, Any],
    precision: str = "float32",
    *,
    read: str = "",
    **variables: str,
) -> tuple[str, dict[str, Any]]:
    """Train in a process; return its output, and its summary with what ``read`` says."""
    (root / "config").mkdir(parents=True)
    (root / "config" / "debughookconfig.json").write_text(json.dumps(config))
    command = [sys.executable, "-W", "ignore", "-c", TRAIN + read]
    result = subprocess.run(
        [*command, str(root), precision, config["LocalPath"]],
        capture_output=True,
        text=True,
        timeout=600,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(PROJECT), **variables},
    )
    assert result.returncode == 0, result.stdout + result.stderr
    words = ("SUMMARY ", "TRIAL ")
    answers = [line for line in result.stdout.splitlines() if line.startswith(words)]
    found = {line.split(" ")[0]: json.loads(line.split(" ", 1)[1]) for line in answers}
    return result.stdout, found["SUMMARY"] | {"trial": found.get("TRIAL")}


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_create_trial_reads_what_the_hook_saved(tmp_path: Path, precision: str) -> None:
    root = tmp_path / "the job's été"
    tensors = root / "debug output"
    config = {**CONFIG, "LocalPath": str(tensors)}
    output, summary = _train(root, config, precision, read=READ)
    assert summary["failure"] is None, output
    trial = summary["trial"]
    assert trial["train"] == trial["gradient"] == [0, 2, 4, 6]
    assert trial["eval"] == [0, 1, 2, 3, 4, 5]
    names = trial["names"]
    assert "gradient/ResNet_fc.weight" in names
    assert "gradient/ResNet_conv1.weight" not in names
    assert any("layer1.0.relu_input_1" in name for name in names)
    assert "layer1.0.relu_output_0" in names  # without a pattern, which smdebug alone refuses
    assert summary["smdebug"]["path"] == str(tensors)
    assert summary["smdebug"]["tensors"] > 10
    assert summary["steps"] == {"TRAIN": 8, "EVAL": 6}
    records = (root / "data" / "instrumentation" / "reductions.jsonl").read_text().splitlines()
    first = next(r for r in map(json.loads, records) if r["collection"] == "losses")
    assert trial["loss"] == pytest.approx(first["mean"], rel=1e-3)
    _check_saved_tensors(root / "data" / "instrumentation" / "saved_tensors.json", tensors)
    assert 0 < summary["smdebug"]["overhead_seconds"] < 60
    # Next to nothing between the metrics of a job's log.
    assert len(output.splitlines()) < 8, output


def _check_saved_tensors(path: Path, tensors: Path) -> None:
    saved = json.loads(path.read_text())
    assert saved["source"] == "smdebug 1.0.34"
    assert "note" not in saved
    assert saved["steps"] == {"TRAIN": 4, "EVAL": 6}
    size = sum(file.stat().st_size for file in tensors.rglob("*") if file.is_file())
    assert saved["bytes"] == size
    found = {tensor["name"]: tensor for tensor in saved["tensors"]}
    assert found["gradient/ResNet_fc.weight"] == {
        "name": "gradient/ResNet_fc.weight",
        "collection": "gradients",
        "steps": 4,
        "modes": ["TRAIN"],
        "first_step": 0,
        "last_step": 6,
        "shape": [3, 512],
        "dtype": "float32",
    }
    loss = found["CrossEntropyLoss_output_0"]
    assert (loss["modes"], loss["steps"], loss["shape"]) == (["TRAIN", "EVAL"], 10, [])
    reduced = next(tensor for name, tensor in found.items() if "relu_input" in name)
    assert reduced["reductions"] == ["mean", "std"]
    assert reduced["shape"] is None


def test_a_quota_drops_tensors_and_keeps_losses(tmp_path: Path) -> None:
    config = {
        "LocalPath": str(tmp_path / "tensors"),
        "HookParameters": {"save_interval": "1", "whippet.quota_bytes": "20000"},
        "CollectionConfigurations": [{"CollectionName": "losses"}, {"CollectionName": "gradients"}],
    }
    _, summary = _train(tmp_path / "job", config)
    assert summary["failure"] is None
    saved = json.loads((tmp_path / "job/data/instrumentation/saved_tensors.json").read_text())
    steps = {tensor["name"]: tensor["steps"] for tensor in saved["tensors"]}
    # 6,144 bytes a step fit three times; what is dropped is counted.
    assert steps["gradient/ResNet_fc.weight"] == 3
    assert summary["smdebug"]["dropped"] == 5
    assert steps["CrossEntropyLoss_output_0"] == 14
    assert steps["gradient/ResNet_fc.bias"] == 8


def test_without_smdebug_our_own_hook_goes_on(tmp_path: Path) -> None:
    # A package of that name that cannot be imported, as in images after PyTorch 2.1.
    (tmp_path / "shadow" / "smdebug").mkdir(parents=True)
    (tmp_path / "shadow" / "smdebug" / "__init__.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'smdebug'\", name='smdebug')\n"
    )
    path = os.pathsep.join([str(tmp_path / "shadow"), str(PROJECT)])
    config = {**CONFIG, "LocalPath": str(tmp_path / "tensors")}
    output, summary = _train(tmp_path / "job", config, PYTHONPATH=path)
    assert output.count("training continues") == 1
    assert "No module named 'smdebug'" in output
    assert summary["smdebug"] is None
    assert summary["steps"] == {"TRAIN": 8, "EVAL": 6}
    assert summary["reductions"]["records"] > 20
    assert not (tmp_path / "tensors").exists()


def test_tensors_that_cannot_be_written_do_not_end_the_job(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    config = {**CONFIG, "LocalPath": str(tmp_path / "file" / "tensors")}
    output, summary = _train(tmp_path / "job", config)
    assert summary["steps"] == {"TRAIN": 8, "EVAL": 6}
    assert output.count("training continues") == 1
    assert summary["smdebug"] is None
    assert summary["reductions"]["records"] > 20


def test_a_configuration_that_smdebug_refuses_does_not_end_the_job(tmp_path: Path) -> None:
    config = {"LocalPath": str(tmp_path / "tensors"), "CollectionConfigurations": [{"x": 1}]}
    output, summary = _train(tmp_path / "job", config)
    assert summary["steps"] == {"TRAIN": 8, "EVAL": 6}
    assert "CollectionName" in output
    assert "CollectionName" in summary["failure"]


def test_cached_features_are_no_steps_of_the_training(tmp_path: Path) -> None:
    variables = job_variables(tmp_path / "job", make_channels(tmp_path / "data", train=4, valid=2))
    config = {**CONFIG, "LocalPath": str(tmp_path / "tensors")}
    (tmp_path / "job/input/config/debughookconfig.json").write_text(json.dumps(config))
    process = start_training(
        variables,
        *("--model=squeezenet1_1", "--image_size=32", "--batch_size=4", "--epochs=2"),
        *("--trainable=head", "--cache_features=true", "--augmentation=none"),
    )
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, output + errors
    assert "on cached features" in output
    inside = tmp_path / "job/output/data/instrumentation"
    summary = json.loads((inside / "summary.json").read_text())
    assert summary["failure"] is None
    assert summary["steps"] == {"TRAIN": 6, "EVAL": 2}
    # Neither the features before the training nor the test after it are among them.
    saved = json.loads((inside / "saved_tensors.json").read_text())
    assert saved["steps"] == {"TRAIN": 3, "EVAL": 2}
    assert len(list((tmp_path / "tensors/events").rglob("*.tfevents"))) == 5
    lines = (inside / "reductions.jsonl").read_text().splitlines()
    collections = {json.loads(line)["collection"] for line in lines}
    assert {"features", "outputs", "gradients", "weights", "losses"} <= collections
    assert "inputs" not in collections  # rules about images would misread features


def test_a_head_that_goes_on_alone_keeps_its_hooks(tmp_path: Path) -> None:
    """From the second epoch on nothing but the head runs, and smdebug must not notice."""
    variables = job_variables(tmp_path / "job", make_channels(tmp_path / "data", train=4, valid=2))
    config = {**CONFIG, "LocalPath": str(tmp_path / "tensors")}
    (tmp_path / "job/input/config/debughookconfig.json").write_text(json.dumps(config))
    process = start_training(
        variables,
        *("--model=squeezenet1_1", "--image_size=32", "--batch_size=4", "--epochs=3"),
        *("--trainable=head", "--augmentation=none"),
    )
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, output + errors
    assert "epochs 2 to 3 learn from its features" in output
    inside = tmp_path / "job/output/data/instrumentation"
    summary = json.loads((inside / "summary.json").read_text())
    assert summary["failure"] is None
    assert (summary["steps"], summary["tail_steps"]) == (
        {"TRAIN": 9, "EVAL": 3},
        {"TRAIN": 6, "EVAL": 2},
    )
    saved = json.loads((inside / "saved_tensors.json").read_text())
    assert saved["steps"] == {"TRAIN": 5, "EVAL": 3}
    gradients = [each for each in saved["tensors"] if each["collection"] == "gradients"]
    assert {(each["name"], each["steps"], each["last_step"]) for each in gradients} == {
        ("gradient/SqueezeNet_classifier.1.weight", 5, 8),
        ("gradient/SqueezeNet_classifier.1.bias", 5, 8),
    }
