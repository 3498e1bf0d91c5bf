"""search.py as a job: real pictures, a real network with random weights, files and exit codes."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from sm_entrypoints import inference
from sm_entrypoints.contract import METRIC_COLUMNS
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.job.processes import StopRequest
from sm_entrypoints.models.model import load_model
from sm_entrypoints.search import main as search
from sm_entrypoints.search import run as run_search
from sm_entrypoints.searching.request import SearchRequest
from sm_entrypoints.train import main as train
from tests.printed_metrics import parse_metrics
from tests.sm_entrypoints.pictures import CLASSES, PROJECT, job_variables, make_channels
from tests.sm_entrypoints.search_outputs import document, metrics, when
from tests.sm_entrypoints.searching.world import write_weights

pytestmark = pytest.mark.slow  # whole searches

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
FIXED = ("--model", "mobilenet_v2", "--image_size", "32", "--threads", "1", "--optimizer", "adam")


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("channels")
    weights = write_weights(root / "weights", "mobilenet_v2", image_size=32)
    return {**make_channels(root, train=7, valid=5, test=3), "weights": weights}


def run(
    root: Path, channels: dict[str, Path], *arguments: str, job: str = "job", **changed: Any
) -> int:
    variables = {**job_variables(root, channels), "TRAINING_JOB_NAME": job}
    plan = json.dumps({**PLAN, **changed})
    return search(["--search", plan, *FIXED, *arguments], variables)


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


@pytest.mark.slow
def test_views_are_searched_in_one_job_and_the_final_training_takes_them_from_there(
    channels: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    views = ("--augmentation", "standard", "--views", "2")
    root = tmp_path / "search"
    kept = root / "checkpoints"
    kept.mkdir(parents=True)
    assert run(root, channels, *views) == 0
    found = document(root, "search.json")
    # 21 training pictures with two views each, 15 for validation, 9 for the test.
    assert (found["features"]["computed"], found["features"]["views"]) == (21 * 3 + 15 + 9, 2)
    assert found["features"]["shape"] == [1280]
    best = found["best"]
    drawn = [text for name, value in best["tuned"].items() for text in (f"--{name}", value)]
    capsys.readouterr()
    job = job_variables(tmp_path / "train", {**channels, "features": kept})
    assert train([*FIXED, *views, *drawn, "--instrumentation", "on"], job) == 0
    assert "took the kept features of 78 images and views of images" in capsys.readouterr().out
    mine, theirs = (
        [json.loads(line) for line in (each / "output/data/metrics.jsonl").read_text().splitlines()]
        for each in (root, tmp_path / "train")
    )
    for one, other in zip(mine, theirs, strict=True):
        assert (one["epoch"], one["split"]) == (other["epoch"], other["split"])
        assert one["loss"] == pytest.approx(other["loss"], rel=1e-5, abs=1e-5)


def test_views_that_do_not_fit_into_memory_are_refused_with_their_number(
    channels: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sm_entrypoints.searching.shared_features._MEMORY_SHARE", 0)
    assert run(tmp_path, channels, "--augmentation", "standard", "--views", "2") == 1
    failure = (tmp_path / "output/failure").read_text()
    assert "the features of 45 pictures and 42 views take 0.0 GiB, but only " in failure
    assert "take a larger instance, fewer views, a smaller image_size, or" in failure


def test_every_picture_is_seen_once_the_test_split_included(
    searched: Path, channels: dict[str, Path]
) -> None:
    counts = {name: len(list(channels[name].rglob("*.jpg"))) for name in ("train", "valid", "test")}
    features = document(searched, "search.json")["features"]
    assert features["kept"] + features["computed"] == sum(counts.values())
    evaluation = document(searched, "evaluation.json")
    assert evaluation["samples"] == counts["test"] == 9
    with (searched / "output/data/predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    loaded = inference.model_fn(str(searched / "model"))
    for row in rows:
        file = channels["test"] / row["path"]
        best = inference.predict_fn(inference.input_fn(file.read_bytes(), "image/jpeg"), loaded)
        assert best[0].label == row["predicted"]
        assert best[0].probability == pytest.approx(float(row["probability"]), abs=1e-4)


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
        best = inference.predict_fn(data, loaded)
        right += best[0].label == file.parent.name
    best = document(searched, "search.json")["best"]["metrics"]
    assert right / len(files) == card.metrics["valid:accuracy"] == best["valid:accuracy"]


@pytest.mark.slow
def test_the_same_seed_is_the_same_search_and_another_is_not(
    searched: Path, channels: dict[str, Path], tmp_path: Path
) -> None:
    assert run(tmp_path / "again", channels) == 0
    assert metrics(tmp_path / "again") == metrics(searched)
    assert run(tmp_path / "other", channels, seed=2) == 0
    assert metrics(tmp_path / "other") != metrics(searched)


# Long enough to be killed in the middle of it.
LONG: dict[str, Any] = {
    "trials": 8,
    "generation": 2,
    "max_epochs": 40,
    "pruning": "off",
    "ranges": {"lr": PLAN["ranges"]["lr"]},
}


@pytest.mark.slow
def test_a_killed_search_goes_on_to_the_same_result(
    channels: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "killed"
    variables = {**job_variables(root, channels), "TRAINING_JOB_NAME": "job"}
    plan = json.dumps({**PLAN, **LONG})
    arguments = ["--search", plan, *FIXED, "--epochs", "40"]
    job = subprocess.Popen(
        [sys.executable, str(PROJECT / "sm_entrypoints/search.py"), *arguments],
        env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", **variables},
        stdout=subprocess.DEVNULL,
    )
    when(root / "checkpoints/search-job/generation-0001.json", job.kill)
    assert job.wait(120) == -signal.SIGKILL
    assert not (root / "output/data/trials.json").exists()
    kept = json.loads((root / "checkpoints/search-job/generation-0001.json").read_text())
    assert search(arguments, variables) == 0
    printed = capsys.readouterr().out
    assert "resumed after" in printed
    assert "took the kept features of 45 images" in printed
    assert document(root, "trials.json")[0]["TrainingStartTime"].startswith("20")
    assert [each["number"] for each in kept["trials"]] == [0, 1]
    assert run(tmp_path / "whole", channels, "--epochs", "40", **LONG) == 0
    for mine, theirs in zip(metrics(root), metrics(tmp_path / "whole"), strict=True):
        assert mine == {name: pytest.approx(value) for name, value in theirs.items()}
    one, other = (load_file(r / "model/model.safetensors") for r in (root, tmp_path / "whole"))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name])


def test_a_later_attempt_takes_over_the_trials_of_the_first(
    searched: Path, channels: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "checkpoints/search-job"
    shutil.copytree(searched / "checkpoints", tmp_path / "checkpoints")
    (kept / "generation-0002.json").unlink()
    assert run(tmp_path, channels, job="job-2", continues=["job"]) == 0
    assert "resumed after 3 of 6 trials" in capsys.readouterr().out
    assert metrics(tmp_path) == metrics(searched)
    assert document(tmp_path, "search.json")["resumed_trials"] == 3
    table = json.loads((kept / "trials.json").read_text())
    assert table == document(tmp_path, "trials.json"), "those who watch see what is delivered"
    assert {each["TrainingJobName"][:6] for each in table} == {"job-2-"}
    assert (kept / "generation-0002.json").exists(), "a third attempt finds it again"
    # What is not the same search shares nothing, whatever it says.
    assert run(tmp_path, channels, job="job-3", continues=["job"], seed=2) == 0
    printed = capsys.readouterr().out
    assert "resumed" not in printed
    assert "it is of another search" in printed


# Mounts a file system of 32 kB, which is too small for features, before the job.
SMALL_DISK = 'mount -t tmpfs -o size=32k none "$1" && shift && exec "$@"'
UNSHARED = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", SMALL_DISK, "sh")


def has_own_mounts(place: Path) -> bool:
    try:
        return not subprocess.run([*UNSHARED, str(place), "true"], capture_output=True).returncode
    except OSError:
        return False


@pytest.mark.slow
def test_a_disk_that_is_full_costs_features_and_nothing_else(
    searched: Path, channels: dict[str, Path], tmp_path: Path
) -> None:
    variables = {**job_variables(tmp_path, channels), "TRAINING_JOB_NAME": "job"}
    checkpoints = tmp_path / "checkpoints"
    checkpoints.mkdir(exist_ok=True)
    if not has_own_mounts(checkpoints):
        pytest.skip("nobody may mount a file system here")
    program = [sys.executable, str(PROJECT / "sm_entrypoints/search.py")]
    done = subprocess.run(
        [*UNSHARED, str(checkpoints), *program, "--search", json.dumps(PLAN), *FIXED],
        env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    told = f"features are not kept in {checkpoints}"
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(told)]
    assert "No space left on device; the job goes on without" in line
    assert metrics(tmp_path) == metrics(searched)


def test_sigterm_delivers_what_was_found(channels: dict[str, Path], tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    first = tmp_path / "checkpoints/search-job/generation-0001.json"
    asked = when(first, lambda: os.kill(os.getpid(), signal.SIGTERM))
    try:
        assert run(tmp_path, channels, "--epochs", "40", **LONG) == 0
        asked.join()
    finally:
        signal.signal(signal.SIGTERM, before)
    statuses = [each["TrainingJobStatus"] for each in document(tmp_path, "trials.json")]
    assert statuses[:2] == ["Completed"] * 2
    assert statuses[2:] == ["Stopped"] * 2
    summary = document(tmp_path, "search.json")
    assert summary["interrupted"]
    assert summary["best"]["trial"] in (1, 2)
    assert load_model(tmp_path / "model")[1].metrics.keys() == {"valid:loss", "valid:accuracy"}
    assert not (tmp_path / "output/data/evaluation.json").exists()


def test_a_trial_that_diverges_ends_alone(
    channels: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ranges = {
        "lr": {"type": "categorical", "values": [0.01, 100]},
        "weight_decay": {"type": "categorical", "values": [0.0, 10]},
        "optimizer": {"type": "categorical", "values": ["adamw"]},
    }
    assert run(tmp_path, channels, "--batch_size", "1", ranges=ranges, trials=8, generation=8) == 0
    ended = {
        (each["TunedHyperParameters"]["lr"], each["TunedHyperParameters"]["weight_decay"]): each
        for each in document(tmp_path, "trials.json")
    }
    failed = ended.pop(("100", "10"))
    assert failed["TrainingJobStatus"] == failed["ObjectiveStatus"] == "Failed"
    assert "the training loss is nan in epoch 1: lower the learning rate" in failed["FailureReason"]
    assert "FinalHyperParameterTuningJobObjectiveMetric" not in failed
    assert ended
    assert {each["TrainingJobStatus"] for each in ended.values()} == {"Completed"}
    assert "failed: the training loss is nan" in capsys.readouterr().out


def test_a_search_of_which_nothing_comes_fails_and_leaves_its_table(
    channels: dict[str, Path], tmp_path: Path
) -> None:
    ranges = {"lr": {"type": "categorical", "values": [100]}}
    fixed = ("--batch_size", "1", "--weight_decay", "10", "--optimizer", "adamw")
    variables = job_variables(tmp_path, channels)
    plan = json.dumps({**PLAN, "ranges": ranges, "trials": 2})
    assert search(["--search", plan, *FIXED[:6], *fixed], variables) == 1
    failure = (tmp_path / "output/failure").read_text()
    assert failure.startswith("all 2 trials failed; the first one: the training loss is nan")
    assert len(document(tmp_path, "trials.json")) == 2
    assert document(tmp_path, "search.json")["best"] is None


def test_earlier_trials_are_learned_from(
    searched: Path, channels: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parents = tmp_path / "parents"
    parents.mkdir()
    (parents / "trials.json").write_text((searched / "output/data/trials.json").read_text())
    assert run(tmp_path / "job", {**channels, "parents": parents}) == 0
    assert "learned from 6 trials of earlier searches" in capsys.readouterr().out


def test_what_is_printed_tells_how_far_the_search_is(
    channels: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, channels) == 0
    lines = capsys.readouterr().out.splitlines()
    printed = [found for line in lines if (found := parse_metrics(line))]
    assert [each["search:trials_done"] for each in printed[:2]] == [3, 6]
    best = document(tmp_path, "search.json")["best"]
    assert printed[-2]["search:best_valid_loss"] == printed[-1]["valid:loss"] == best["objective"]
    assert printed[-1]["test:accuracy"] <= 1


@pytest.mark.parametrize(
    ("arguments", "changed", "said"),
    [
        (["--augmentation", "flip"], {}, "cannot be packed into one job: augmentation=flip"),
        (["--trainable", "all"], {}, "cannot be packed into one job: trainable=all"),
        (["--weights", "none"], {}, "no pretrained weights, so that the whole network learns"),
        ([], {"trials": 0}, "hyperparameter search: trials=0 must be"),
        (["--search", "{}"], {}, "hyperparameter 'search' is given twice"),
        (["--batchsize", "3"], {}, "did you mean 'batch_size'"),
        (
            ["--weights", "none", "--trainable", "head"],
            {"ranges": {"seed": {"type": "integer", "min": 0, "max": 9}}},
            "seed cannot be searched without pretrained weights",
        ),
    ],
)
def test_what_cannot_be_packed_is_refused(
    arguments: list[str],
    changed: dict[str, Any],
    said: str,
    channels: dict[str, Path],
    tmp_path: Path,
) -> None:
    assert run(tmp_path, channels, *arguments, **changed) == 1
    failure = (tmp_path / "output/failure").read_text()
    assert said in failure
    assert "Traceback" not in failure
    assert not list((tmp_path / "output/data").iterdir())


def test_several_processes_are_refused(channels: dict[str, Path], tmp_path: Path) -> None:
    request = SearchRequest.parse(["--search", json.dumps(PLAN), *FIXED])
    environment = Environment(channels=channels, world_size=2, model_dir=tmp_path)
    with pytest.raises(ValueError, match="runs in one process, but this job has 2"):
        run_search(request, environment, StopRequest())
