from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.images.batches import BatchOrder, ImageData, make_loader
from sm_entrypoints.images.channels import read_splits
from sm_entrypoints.models.model import ModelCard, build_model
from sm_entrypoints.training.network import (
    Compute,
    choose_compute,
    compute_features,
    freeze_backbone,
    set_training,
    tail_of,
)
from tests.sm_entrypoints.pictures import CLASSES, make_channels

CPU = Compute(device=torch.device("cpu"), dtype=torch.float32, channels_last=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    "architecture", ["resnet18", "mobilenet_v3_small", "squeezenet1_1", "googlenet"]
)
def test_the_tail_on_features_is_the_whole_model(tmp_path: Path, architecture: str) -> None:
    card = ModelCard(architecture=architecture, classes=CLASSES, image_size=64, resize_size=64)
    data = ImageData(read_splits(make_channels(tmp_path, train=1)).train, card)
    loader = make_loader(data, BatchOrder(len(data), 2))
    torch.manual_seed(0)
    model = build_model(architecture, 3)
    features = compute_features(model, card, loader, CPU, limit=1 << 30)
    assert features is not None
    pixels = data.__getitems__([(0, index) for index in range(3)])[0]
    with torch.no_grad():
        whole = model.eval()(CPU.images(pixels, card))
        assert torch.allclose(tail_of(model).eval()(features), whole, atol=1e-5)


def test_features_that_do_not_fit_are_not_kept(tmp_path: Path) -> None:
    card = ModelCard(architecture="resnet18", classes=CLASSES, image_size=32, resize_size=32)
    data = ImageData(read_splits(make_channels(tmp_path, train=2)).train, card)
    loader = make_loader(data, BatchOrder(len(data), 2))
    model = build_model("resnet18", 3)
    assert compute_features(model, card, loader, CPU, limit=6 * 512 * 4 - 1) is None
    features = compute_features(model, card, loader, CPU, limit=6 * 512 * 4)
    assert features is not None
    assert features.shape == (6, 512)


def test_a_frozen_backbone_neither_learns_nor_moves_its_statistics() -> None:
    model = build_model("mobilenet_v2", 3)
    freeze_backbone(model)
    set_training(model, frozen=True)
    learns = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learns == {"classifier.1.weight", "classifier.1.bias"}
    training = [type(layer) for layer in model.classifier.modules() if layer.training]  # type: ignore[union-attr]
    assert nn.Dropout in training
    assert not any(layer.training for layer in model.features.modules())  # type: ignore[union-attr]


def test_precision_can_be_chosen() -> None:
    assert choose_compute(TrainingArguments(precision="bfloat16")).dtype is torch.bfloat16
    assert choose_compute(TrainingArguments(precision="float32")).dtype is torch.float32
    assert not choose_compute(TrainingArguments(channels_last="false")).channels_last


def test_autocast_runs_in_bfloat16() -> None:
    compute = Compute(device=torch.device("cpu"), dtype=torch.bfloat16, channels_last=True)
    layer = nn.Linear(4, 2)
    with compute.autocast():
        assert layer(torch.ones(1, 4)).dtype is torch.bfloat16
    with CPU.autocast():
        assert layer(torch.ones(1, 4)).dtype is torch.float32
