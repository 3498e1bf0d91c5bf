"""What a training tells of its pictures at its end, and that nothing there can end it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from sm_entrypoints.models.model import build_model
from sm_entrypoints.train import main
from sm_entrypoints.training.pictures import kept_on_entry
from tests.sm_entrypoints.pictures import job_variables, make_channels

FAST = {
    "model": "mobilenet_v3_small",
    "image_size": "32",
    "precision": "float32",
    "threads": "1",
    "trainable": "head",
    "epochs": "2",
    "instrumentation": "on",
}


@pytest.fixture(scope="module")
def channels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_channels(tmp_path_factory.mktemp("data"), train=9, valid=4, test=4)


@pytest.fixture(autouse=True)
def _signals_and_threads() -> Iterator[None]:
    handler, threads = signal.getsignal(signal.SIGTERM), torch.get_num_threads()
    yield
    signal.signal(signal.SIGTERM, handler)
    torch.set_num_threads(threads)


def train(root: Path, channels: dict[str, Path], **more: object) -> Path:
    variables = job_variables(root, channels)
    options = [f"--{name}={value}" for name, value in {**FAST, **more}.items()]
    assert main(options, variables) == 0
    return root / "output/data"


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [1, 2])
def test_a_watched_training_of_a_head_tells_of_its_pictures(
    epochs: int, tmp_path: Path, channels: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    output = train(tmp_path, channels, epochs=epochs)
    printed = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("examined 51 pictures in ") for line in printed) == 1
    assert "valid:loss" in printed[-1]
    document = json.loads((output / "pictures.json").read_text("utf-8"))
    assert document["pictures"] == {"train": 27, "valid": 12, "test": 12}
    assert document["network"] == "mobilenet_v3_small"
    mistakes = json.loads((output / "mistakes.json").read_text("utf-8"))
    items = document["where"]["items"]
    # At 32 pixels the last map has one place; a network with more of them is looked into.
    assert [item["path"] for item in items] in ([], [each["path"] for each in mistakes][:12])


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {"instrumentation": "off", "epochs": 1},
        {"trainable": "all", "epochs": 1},
        {"augmentation": "standard", "views": 2, "epochs": 1},
    ],
    ids=["not watched", "all of it learns", "an epoch of views"],
)
def test_others_do_not(
    tmp_path: Path,
    channels: dict[str, Path],
    options: dict[str, object],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert not (train(tmp_path, channels, **options) / "pictures.json").exists()
    said = "this training tells nothing of the pictures: with views=2" in capsys.readouterr().out
    assert said == ("views" in options)


@pytest.mark.slow
def test_a_failure_does_not_end_the_training(
    tmp_path: Path, channels: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "output/data/pictures.json").mkdir(parents=True)
    output = train(tmp_path, channels)
    printed = capsys.readouterr().out
    assert printed.count("the examination of the pictures switched off (") == 1
    assert (output / "training.json").is_file()
    assert "valid:loss" in printed.splitlines()[-1]


def test_what_enters_the_tail_is_collected_while_it_is_wanted() -> None:
    model = build_model("mobilenet_v3_small", 3).eval()
    seen: list[torch.Tensor] = []
    assert isinstance(model.classifier, nn.Module)
    handle = model.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode(), kept_on_entry(model) as kept:
        model(torch.zeros(2, 3, 32, 32))
        model(torch.ones(1, 3, 32, 32))
    model(torch.ones(1, 3, 32, 32))
    handle.remove()
    assert torch.equal(torch.cat(kept), torch.cat(seen[:2]))
    with kept_on_entry(model, wanted=False) as nothing:
        model(torch.ones(1, 3, 32, 32))
    assert nothing == []
