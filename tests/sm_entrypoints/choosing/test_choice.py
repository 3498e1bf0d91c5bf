"""A search among several networks, as a job: small pictures, networks with random weights."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from sm_entrypoints.contract.networks import NETWORKS_FILE, RULE
from sm_entrypoints.models.model import build_model, head_name, load_model
from sm_entrypoints.search import main as search
from tests.sm_entrypoints.pictures import CLASSES, PROJECT, job_variables, make_channels, make_split
from tests.sm_entrypoints.search_outputs import document, metrics, when

# Whole choices; the parts of one have fast tests beside it.
pytestmark = pytest.mark.slow

PLAN: dict[str, Any] = {
    "trials": 3,
    "seed": 1,
    "max_epochs": 3,
    "ranges": {"lr": {"type": "continuous", "min": 1e-3, "max": 1e-1, "scaling": "Logarithmic"}},
}
FIXED = ("--model", "mobilenet_v2", "--image_size", "32", "--threads", "1", "--optimizer", "adam")
# By their operations at 32 pixels.
NETWORKS = ("shufflenet_v2_x0_5", "mobilenet_v3_small", "mnasnet0_5", "resnet18")
HEADLESS = ("mobilenet_v3_small", "shufflenet_v2_x0_5")


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three classes of 60 pictures, so that the rounds show 10, 18 and 60 of each."""
    root = tmp_path_factory.mktemp("channels")
    found = make_channels(root, train=60, valid=20, test=2)
    (root / "weights").mkdir()
    torch.manual_seed(5)
    pixels = torch.stack([pixels_of(file) for file in sorted(found["train"].rglob("*.jpg"))[::3]])
    for name in NETWORKS:
        network = build_model(name, len(CLASSES), image_size=32)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = None
        with torch.no_grad():  # what random layers make of these pictures then tells them apart
            network.train()(pixels)
        head = f"{head_name(network)}."
        state = {k: v for k, v in network.state_dict().items() if not k.startswith(head)}
        metadata = {"source": f"made for {name}"}
        save_file(state, root / f"weights/{name}.safetensors", metadata=metadata)
    return {**found, "weights": root / "weights"}


def pixels_of(file: Path) -> torch.Tensor:
    image = np.asarray(Image.open(file).resize((32, 32)), dtype=np.float32)
    return torch.from_numpy(image).permute(2, 0, 1) / 64 - 2


def arguments(networks: tuple[str, ...], *fixed: str, **changed: Any) -> list[str]:
    plan = json.dumps({**PLAN, "networks": list(networks), **changed})
    return ["--search", plan, *FIXED, *fixed]


def run(root: Path, channels: dict[str, Path], argv: list[str]) -> int:
    return search(argv, {**job_variables(root, channels), "TRAINING_JOB_NAME": "job"})


@pytest.fixture(scope="module")
def chosen(channels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("chosen")
    assert run(root, channels, arguments(NETWORKS)) == 0
    return root


def test_each_network_is_shown_what_it_was_worth(chosen: Path) -> None:
    found = document(chosen, NETWORKS_FILE)
    assert found["rule"] == RULE
    rows = {row["network"]: row for row in found["networks"]}
    assert set(rows) == set(NETWORKS)
    assert found["networks"][0]["network"] == found["winner"]
    assert found["networks"][0]["dropped"] == ""
    # 10 + 10, 18 + 10, or all 60 + 20 pictures of each class.
    assert {row["train_pictures"] + row["valid_pictures"] for row in rows.values()} <= {
        3 * (10 + 10),
        3 * (18 + 10),
        3 * (60 + 20),
    }
    whole = [row for row in rows.values() if row["share"] == 1]
    assert len(whole) <= 2
    for row in rows.values():
        assert row["source"] == f"made for {row['network']}"
        assert 0 < row["accuracy_error"] < 0.2
        assert row["loss_error"] > 0
        assert row["milliseconds"] > 0
        assert row["megabytes"] == pytest.approx(4 * row["parameters"] / 1e6, rel=0.05)
        assert row["gigaflops"] > 0
        assert row["share"] == 1 or row["dropped"] or row["network"] == found["winner"]


def test_what_a_choice_cost_is_counted(chosen: Path) -> None:
    found = document(chosen, NETWORKS_FILE)
    cost, rows = found["cost"], found["networks"]
    shown = [row["train_pictures"] + row["valid_pictures"] for row in rows]
    assert cost["pictures"] == sum(shown)
    assert cost["all_pictures"] == 240 * 4
    # Nothing that an earlier round had shown was computed again.
    assert cost["computed"] == sum(shown)
    weights = [row["gigaflops"] for row in rows]
    spent = sum(w * count for w, count in zip(weights, shown, strict=True))
    assert cost["flops_ratio"] == pytest.approx(spent / (240 * sum(weights)))
    # The search takes from what is kept, and computes only what the winner was not shown.
    features = document(chosen, "search.json")["features"]
    assert features["kept"] == shown[0]
    assert features["computed"] == 240 - shown[0] + 6  # of the test split


def test_the_winner_is_searched_and_delivered(chosen: Path) -> None:
    winner = document(chosen, NETWORKS_FILE)["winner"]
    assert load_model(chosen / "model")[1].architecture == winner
    summary = document(chosen, "search.json")
    assert summary["best"]["hyperparameters"]["model"] == winner
    assert summary["fixed"]["model"] == winner
    assert len(document(chosen, "trials.json")) == 3


def test_the_winner_is_searched_as_if_it_had_been_the_only_one(
    chosen: Path, channels: dict[str, Path], tmp_path: Path
) -> None:
    winner = document(chosen, NETWORKS_FILE)["winner"]
    only = tmp_path / "only"
    only.mkdir()
    (only / "weights.safetensors").symlink_to(channels["weights"] / f"{winner}.safetensors")
    argv = ["--search", json.dumps(PLAN), "--model", winner, *FIXED[2:]]
    assert run(tmp_path / "job", {**channels, "weights": only}, argv) == 0
    for mine, theirs in zip(metrics(tmp_path / "job"), metrics(chosen), strict=True):
        assert mine["split"] == theirs["split"]
        assert mine["loss"] == pytest.approx(theirs["loss"], rel=1e-4)


def test_a_killed_choice_goes_on_to_the_same_winner(
    chosen: Path, channels: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    variables = {**job_variables(tmp_path, channels), "TRAINING_JOB_NAME": "job"}
    argv = arguments(NETWORKS)
    job = subprocess.Popen(
        [sys.executable, str(PROJECT / "sm_entrypoints/search.py"), *argv],
        env={"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", **variables},
        stdout=subprocess.DEVNULL,
    )
    kept = tmp_path / "checkpoints/search-job/networks.json"
    when(kept, job.kill)
    assert job.wait(120) == -signal.SIGKILL
    assert not (tmp_path / "output/data" / NETWORKS_FILE).exists()
    before = json.loads(kept.read_text())
    assert search(argv, variables) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, kept_of_it in before.items():  # what was found out is not found out again
        again = [line for line in lines if line.startswith(f"network {name}: validation accuracy")]
        counts = [each["train_pictures"] for each in kept_of_it["standings"].values()]
        assert counts
        assert not [line for line in again for n in counts if line.endswith(f"after {n} pictures.")]
    mine, theirs = (document(root, NETWORKS_FILE) for root in (tmp_path, chosen))
    for one, other in zip(mine["networks"], theirs["networks"], strict=True):
        for name in ("network", "accuracy", "train_pictures", "valid_pictures"):
            assert one[name] == other[name]
    assert mine["cost"]["pictures"] == theirs["cost"]["pictures"]


def test_a_network_that_cannot_take_the_pictures_is_left_out(
    channels: dict[str, Path], tmp_path: Path
) -> None:
    weights = {**channels}
    del weights["weights"]
    networks = ("squeezenet1_1", "mobilenet_v3_small")
    argv = arguments(networks, "--trainable", "head")
    argv[argv.index("32")] = "16"
    assert run(tmp_path, weights, argv) == 0
    found = document(tmp_path, NETWORKS_FILE)
    assert found["winner"] == "mobilenet_v3_small"
    row = found["networks"][1]
    assert row["dropped"].startswith("it cannot be used: squeezenet1_1 does not take image_size=16")
    assert row["accuracy"] is None
    assert found["networks"][0]["source"] == "random weights"


def test_a_network_without_weights_is_left_out_and_all_of_them_fail(
    channels: dict[str, Path], tmp_path: Path
) -> None:
    networks = ("resnet34", "mobilenet_v3_small")
    assert run(tmp_path / "one", channels, arguments(networks)) == 0
    row = document(tmp_path / "one", NETWORKS_FILE)["networks"][1]
    assert "must hold resnet34.safetensors" in row["dropped"]
    assert run(tmp_path / "none", channels, arguments(("resnet34", "resnet50"))) == 1
    failure = (tmp_path / "none/output/failure").read_text()
    assert failure.startswith("none of the 2 networks can be used; resnet34: it cannot be used: ")


def test_sigterm_in_mid_choice_tells_what_was_found(
    channels: dict[str, Path], tmp_path: Path
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    kept = tmp_path / "checkpoints/search-job/networks.json"
    asked = when(kept, lambda: os.kill(os.getpid(), signal.SIGTERM))
    try:
        assert run(tmp_path, channels, arguments(NETWORKS)) == 1
        asked.join(10)
    finally:
        signal.signal(signal.SIGTERM, before)
    found = document(tmp_path, NETWORKS_FILE)
    assert found["networks"][0]["accuracy"] is not None
    assert "asked to stop before any trial" in (tmp_path / "output/failure").read_text()


def test_a_class_of_three_pictures_is_no_obstacle(tmp_path: Path) -> None:
    tiny = {
        name: make_split(tmp_path / name, count, classes=("a", "b"))
        for name, count in (("train", 3), ("valid", 2))
    }
    assert run(tmp_path / "job", tiny, arguments(HEADLESS, "--trainable", "head")) == 0
    found = document(tmp_path / "job", NETWORKS_FILE)
    assert all(row["share"] == 1 for row in found["networks"])
    assert found["cost"]["flops_ratio"] == 1


@pytest.mark.parametrize(
    ("networks", "said"),
    [
        (["resnet81"], "networks: unknown model 'resnet81': did you mean resnet18 or"),
        (["resnet18", "resnet18"], "networks: resnet18 is given twice"),
        (["resnet50:V3"], "unknown weights 'V3' of model 'resnet50'"),
        ("resnet18", "networks='resnet18' is not a list of names"),
    ],
)
def test_wrong_networks_are_refused(
    networks: Any, said: str, channels: dict[str, Path], tmp_path: Path
) -> None:
    plan = json.dumps({**PLAN, "networks": networks})
    assert run(tmp_path, channels, ["--search", plan, *FIXED]) == 1
    assert said in (tmp_path / "output/failure").read_text()


def test_only_the_chosen_network_sees_views(channels: dict[str, Path], tmp_path: Path) -> None:
    views = ("--augmentation", "standard", "--views", "2")
    assert run(tmp_path, channels, arguments(NETWORKS[:2], *views)) == 0
    found = document(tmp_path, "search.json")
    # The plain pictures of training and validation were computed when the networks were tried.
    assert found["features"]["views"] == 2
    assert (found["features"]["kept"], found["features"]["computed"]) == (240, 360 + 6)
