"""search.py as a job: real pictures, a real network with random weights, files and exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sm_entrypoints import inference
from sm_entrypoints.contract import METRIC_COLUMNS
from sm_entrypoints.models.model import build_model, head_name, load_model
from sm_entrypoints.search import main as search
from sm_entrypoints.train import main as train
from tests.sm_entrypoints.pictures import CLASSES, job_variables, make_channels

PLAN: dict[str, Any] = {
    "trials": 6,
    "generation": 3,
    "seed": 1,
    "max_epochs": 3,
    "ranges": {
        "lr": {"type": "continuous", "min": 1e-3, "max": 1e-1, "scaling": "Logarithmic"},
        "batch_size": {"type": "categorical", "values": [4, 8]},
        "epochs": {"type": "integer", "min": 2, "max": 9},
    },
}
FIXED = ("--model", "mobilenet_v2", "--image_size", "32", "--optimizer", "adam")


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("channels")
    torch.manual_seed(5)
    network = build_model("mobilenet_v2", len(CLASSES), image_size=32)
    head = f"{head_name(network)}."
    state = {name: v for name, v in network.state_dict().items() if not name.startswith(head)}
    (root / "weights").mkdir()
    save_file(state, root / "weights/weights.safetensors")
    return {**make_channels(root, train=7, valid=5, test=3), "weights": root / "weights"}


def run(
    root: Path, channels: dict[str, Path], *arguments: str, job: str = "job", **changed: Any
) -> int:
    variables = {**job_variables(root, channels), "TRAINING_JOB_NAME": job}
    plan = json.dumps({**PLAN, **changed})
    return search(["--search", plan, *FIXED, *arguments], variables)


def document(root: Path, name: str) -> Any:
    return json.loads((root / "output/data" / name).read_text())


def metrics(root: Path) -> list[dict[str, Any]]:
    lines = (root / "output/data/trial_metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


@pytest.fixture(scope="module")
def searched(channels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("searched")
    assert run(root, channels) == 0
    return root


def test_the_trial_table_is_that_of_a_tuning_job(searched: Path) -> None:
    trials = document(searched, "trials.json")
    assert [each["TrainingJobName"][:7] for each in trials] == [f"job-00{n}" for n in range(1, 7)]
    for each in trials:
        assert each["TrainingJobStatus"] == "Completed"
        assert each["ObjectiveStatus"] == "Succeeded"
        assert set(each["TunedHyperParameters"]) == set(PLAN["ranges"])
        assert all(isinstance(text, str) for text in each["TunedHyperParameters"].values())
        assert int(each["TunedHyperParameters"]["epochs"]) <= 3
        assert each["FinalHyperParameterTuningJobObjectiveMetric"]["MetricName"] == "valid:loss"
        assert each["CreationTime"] <= each["TrainingStartTime"] <= each["TrainingEndTime"]
    rows = [
        json.loads(line)
        for line in (searched / "output/data/trial_metrics.jsonl").read_text().splitlines()
    ]
    assert all(tuple(row) == ("trial", *METRIC_COLUMNS) for row in rows)
    for number, each in enumerate(trials, start=1):
        losses = [r["loss"] for r in rows if r["trial"] == number and r["split"] == "valid"]
        assert len(losses) == int(each["TunedHyperParameters"]["epochs"])
        assert min(losses) == each["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]


def test_the_best_trial_is_the_training_of_train_py(
    searched: Path, channels: dict[str, Path], tmp_path: Path
) -> None:
    best = document(searched, "search.json")["best"]
    drawn = [text for name, value in best["tuned"].items() for text in (f"--{name}", value)]
    assert train([*FIXED, *drawn], job_variables(tmp_path, channels)) == 0
    mine, theirs = (
        [json.loads(line) for line in (root / "output/data/metrics.jsonl").read_text().splitlines()]
        for root in (searched, tmp_path)
    )
    assert [row["split"] for row in mine] == [row["split"] for row in theirs]
    for one, other in zip(mine, theirs, strict=True):
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5)
        assert one["accuracy"] == pytest.approx(other["accuracy"])
    packed, alone = (load_file(root / "model/model.safetensors") for root in (searched, tmp_path))
    assert packed.keys() == alone.keys()
    for name, tensor in packed.items():
        torch.testing.assert_close(tensor, alone[name], rtol=1e-4, atol=1e-5)
    cards = [json.loads((root / "model/model.json").read_text()) for root in (searched, tmp_path)]
    for card in cards:
        del card["metrics"]
    assert cards[0] == cards[1]


def test_the_model_that_is_delivered_serves_as_good_as_the_table_says(
    searched: Path, channels: dict[str, Path]
) -> None:
    model, card = load_model(searched / "model")
    assert not model.training
    assert card.classes == tuple(sorted(CLASSES))
    loaded = inference.model_fn(str(searched / "model"))
    files = sorted(channels["valid"].rglob("*.jpg"))
    right = 0
    for file in files:
        data = inference.input_fn(file.read_bytes(), "image/jpeg")
        answer = inference.predict_fn(data, loaded)
        text = inference.output_fn(answer, "application/json")
        body = json.loads(text[0] if isinstance(text, tuple) else text)
        right += str(body).find(file.parent.name) >= 0
    assert files
    assert right
    assert (
        card.metrics["valid:accuracy"]
        == document(searched, "search.json")["best"]["metrics"]["valid:accuracy"]
    )


def test_the_same_seed_is_the_same_search_and_another_is_not(
    searched: Path, channels: dict[str, Path], tmp_path: Path
) -> None:
    assert run(tmp_path / "again", channels) == 0
    assert metrics(tmp_path / "again") == metrics(searched)
    assert run(tmp_path / "other", channels, seed=2) == 0
    assert metrics(tmp_path / "other") != metrics(searched)
