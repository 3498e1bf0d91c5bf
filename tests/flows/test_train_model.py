"""A training without a search, for real: the head, and then all layers from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from platforms import Settings, connect
from tests.worlds.pictures import picture

pytestmark = [pytest.mark.slow, pytest.mark.job]

RUN = "tuned"
# Without batch norm, whose running means are at first worse for a few small batches.
NETWORK = "squeezenet1_1"
TINTS = {"red": (220, 30, 30), "green": (30, 220, 30), "blue": (30, 30, 220)}
KEYS = ("fine-tuning", "pictures", "training-summary")


def _tinted_data(root: Path) -> Path:
    """Write three classes that can be told apart: after one epoch there is more to learn."""
    seed = 0
    for split, count in {"train": 8, "valid": 4, "test": 2}.items():
        for label, tint in TINTS.items():
            for number in range(count):
                path = root / split / label / f"{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                blots = picture(seed)
                Image.blend(blots, Image.new("RGB", blots.size, tint), 0.4).save(path)
                seed += 1
    return root


@pytest.fixture(scope="module")
def tuned(prefect_server, tmp_path_factory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The folder of a run of one epoch that fine-tunes for another, and its record."""
    from flows.train_model import train_model
    from tasks.parameters.run import (
        DataParameters,
        ModelParameters,
        ResourceParameters,
        TrainingParameters,
    )

    root = tmp_path_factory.mktemp("fine tuning")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WHIPPET_HOME", str(root / "home"))
        patch.setenv("WHIPPET_CHROMIUM", "none")
        values = {"batch_size": 4, "lr": 0.003, "threads": 1}
        try:
            train_model.with_options(flow_run_name=RUN)(
                DataParameters(path=str(_tinted_data(root / "data"))),
                ModelParameters(architecture=NETWORK, image_size=48),
                TrainingParameters(epochs=1, fine_tune=True, hyperparameters=values),
                ResourceParameters(),
            )
            folder = root / "home/runs" / RUN
            yield folder, json.loads((folder / "run.json").read_text("utf-8"))
        finally:
            connect(Settings(home=root / "home")).shut_down()


def test_the_better_model_is_the_runs_and_its_gain_is_told_with_its_uncertainty(tuned):
    folder, record = tuned
    found, jobs = record["fine_tuning"], record["jobs"]
    assert record["status"] == "completed"
    assert found["kept"], found["sentence"]
    assert (found["head"], found["all_layers"]) == (f"{_prefix(jobs)}-train", jobs["training"])
    assert record["training"]["job"] == jobs["training"] == f"{_prefix(jobs)}-finetune"
    assert found["after"]["valid:loss"] < found["before"]["valid:loss"]
    gain = found["gain"]
    assert gain["pictures"] == 12
    for name, key in (("loss", "loss"), ("accuracy", "accuracy")):
        change = found["after"][f"valid:{name}"] - found["before"][f"valid:{name}"]
        assert gain[key]["change"] == pytest.approx(change, abs=1e-6)
        assert gain[key]["error"] >= 0
    assert "On the same 12 validation pictures the loss changed by -" in found["sentence"]
    assert found["sentence"] in record_text(folder)
    summary = json.loads((folder / "training/training.json").read_text("utf-8"))
    assert summary["model"]["trainable"] == "all"


def test_the_report_and_the_artifacts_tell_of_it_and_of_the_pictures(tuned):
    from prefect.settings import PREFECT_API_URL

    folder, record = tuned
    page = record_text(folder)
    assert "What fine-tuning brought" in page
    assert "What the pictures say" in page, "although all layers learned, and for one epoch each"
    assert "The mistakes are those of the model whose head alone had learned." in page
    pictures = json.loads((folder / "pictures.json").read_text("utf-8"))
    assert pictures["pictures"] == {"train": 24, "valid": 12, "test": 6}
    for key in KEYS:
        answer = httpx.get(f"{PREFECT_API_URL.value()}/artifacts/{key}/latest").raise_for_status()
        assert answer.json()["data"]
    told = httpx.get(f"{PREFECT_API_URL.value()}/artifacts/fine-tuning/latest").json()["data"]
    assert f"{record['fine_tuning']['gain']['loss']['change']:+.4f} ± " in told


def record_text(folder: Path) -> str:
    return (folder / "report.html").read_text("utf-8")


def _prefix(jobs: dict[str, str]) -> str:
    return jobs["training"].removesuffix("-finetune")
