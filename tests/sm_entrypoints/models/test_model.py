from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from torch import nn

from sm_entrypoints.contract import MODEL_CARD_FILE, MODEL_WEIGHTS_FILE
from sm_entrypoints.models.model import (
    PREPROCESSING,
    ModelCard,
    ModelError,
    build_model,
    head_name,
    load_model,
    load_tensors,
    save_model,
    save_tensors,
)

CARD = ModelCard(
    architecture="squeezenet1_1",
    classes=("a", "ü", "c d"),
    image_size=64,
    resize_size=73,
    metrics={"valid:loss": 0.25},
    fingerprints={"data": "0" * 64},
    versions={"torch": "2"},
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "head"),
    [
        ("resnet18", "fc"),
        ("mobilenet_v2", "classifier.1"),
        ("mobilenet_v3_small", "classifier.3"),
        ("squeezenet1_1", "classifier.1"),
        ("densenet121", "classifier"),
        ("googlenet", "fc"),
        ("regnet_y_400mf", "fc"),
        ("swin_t", "head"),
        ("vit_b_32", "heads.head"),
    ],
)
def test_a_model_has_one_output_for_each_class(architecture: str, head: str) -> None:
    model = build_model(architecture, 5, image_size=64).eval()
    assert head_name(model) == head
    with torch.no_grad():
        assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 5)


def test_an_unknown_model_gets_close_matches() -> None:
    with pytest.raises(ModelError, match="unknown model 'resnet81': did you mean resnet18"):
        build_model("resnet81", 3)


def test_one_class_is_no_classifier() -> None:
    with pytest.raises(ModelError, match="at least two classes, but got 1"):
        build_model("resnet18", 1)


def test_a_transformer_refuses_a_size_that_it_cannot_cut() -> None:
    with pytest.raises(ModelError, match="vit_b_32 does not take image_size=50"):
        build_model("vit_b_32", 3, image_size=50)


def test_a_network_whose_layers_have_versions_comes_back(tmp_path: Path) -> None:
    model = build_model("mnasnet0_5", 3)
    save_model(tmp_path, model, replace(CARD, architecture="mnasnet0_5"))
    loaded, _ = load_model(tmp_path)
    load_tensors(model, {"classifier.1.bias": torch.ones(3)}, strict=False)
    for name, tensor in model.state_dict().items():
        same = torch.equal(tensor, loaded.state_dict()[name])
        assert same == (name != "classifier.1.bias"), name


def test_a_saved_model_comes_back_equal(tmp_path: Path) -> None:
    folder = tmp_path / "møde l's"
    model = build_model("squeezenet1_1", 3).to(memory_format=torch.channels_last)
    save_model(folder, model, CARD)
    loaded, card = load_model(folder)
    assert card == CARD
    assert not loaded.training
    pixels = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(loaded(pixels), model.eval()(pixels), atol=1e-5)
    assert sorted(path.name for path in folder.iterdir()) == [MODEL_CARD_FILE, MODEL_WEIGHTS_FILE]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema_version": 2}, "schema_version=2, but this code reads 1"),
        ({"classes": ["a", "a"]}, "classes must be a list of at least two different names"),
        ({"image_size": "224"}, "image_size must be pixels"),
        ({"std": [1, 0, 1]}, "std must be three numbers above zero"),
        ({"mean": [1, 0]}, "mean must be three numbers"),
        ({"metrics": []}, "metrics must be an object"),
    ],
)
def test_a_bad_card_is_refused(change: dict[str, Any], said: str) -> None:
    document = json.loads(CARD.to_json()) | change
    with pytest.raises(ModelError, match=said):
        ModelCard.from_json(json.dumps(document))


def _no_card(folder: Path) -> None:
    (folder / MODEL_CARD_FILE).unlink()


def _no_weights(folder: Path) -> None:
    (folder / MODEL_WEIGHTS_FILE).unlink()


def _truncated(folder: Path) -> None:
    file = folder / MODEL_WEIGHTS_FILE
    file.write_bytes(file.read_bytes()[:1000])


def _other_classes(folder: Path) -> None:
    card = replace(CARD, classes=("a", "b"))
    (folder / MODEL_CARD_FILE).write_text(card.to_json(), encoding="utf-8")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_no_card, "model.json is missing"),
        (_no_weights, "is missing"),
        (_truncated, "cannot be read"),
        (_other_classes, "does not fit 'squeezenet1_1' with 2 classes"),
    ],
)
def test_a_spoiled_archive_says_what_is_wrong(
    tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    save_model(tmp_path, build_model("squeezenet1_1", 3), CARD)
    spoil(tmp_path)
    with pytest.raises(ModelError, match=said):
        load_model(tmp_path)


def test_a_model_without_layers_has_no_head() -> None:
    with pytest.raises(ModelError, match="has no linear layer"):
        head_name(nn.Sequential(nn.ReLU()))


def test_the_same_tensors_are_the_same_bytes(tmp_path: Path) -> None:
    metadata = {"b": "2", "a": 'é "1"', "d": "4", "c": "3", "e": "{}"}
    files = [tmp_path / f"{index}.safetensors" for index in range(20)]
    for file in files:
        save_tensors(file, {"weight": torch.ones(3)}, metadata)
    assert len({file.read_bytes() for file in files}) == 1
    with safe_open(files[0], "pt") as read:
        assert read.metadata() == metadata
        assert read.get_tensor("weight").tolist() == [1, 1, 1]


def test_a_card_without_a_version_is_of_a_model_that_saw_whole_pictures() -> None:
    document = json.loads(CARD.to_json())
    del document["preprocessing"]
    older = ModelCard.from_json(json.dumps(document))
    assert (older.preprocessing, older.least_side) == (1, None)
    now = replace(CARD, preprocessing=PREPROCESSING)
    assert ModelCard.from_json(now.to_json()) == now
    assert now.least_side == 2 * CARD.resize_size


@pytest.mark.parametrize("version", [0, PREPROCESSING + 1, "2", None, True])
def test_a_card_of_a_preprocessing_to_come_is_refused(version: object) -> None:
    text = json.dumps({**json.loads(CARD.to_json()), "preprocessing": version})
    with pytest.raises(ModelError, match="preprocessing must be a version from 1 to"):
        ModelCard.from_json(text)
