from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.features.backbone import Compute
from sm_entrypoints.models.model import ModelCard, build_model
from sm_entrypoints.training import network
from sm_entrypoints.training.network import choose_compute, freeze_backbone, set_training

CPU = Compute(device=torch.device("cpu"), dtype=torch.float32, channels_last=False)


def test_a_frozen_backbone_neither_learns_nor_moves_its_statistics() -> None:
    model = build_model("mobilenet_v2", 3)
    freeze_backbone(model)
    set_training(model, frozen=True)
    learns = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert learns == {"classifier.1.weight", "classifier.1.bias"}
    training = [type(layer) for layer in model.classifier.modules() if layer.training]  # type: ignore[union-attr]
    assert nn.Dropout in training
    assert not any(layer.training for layer in model.features.modules())  # type: ignore[union-attr]


def test_given_statistics_stay_while_all_layers_learn() -> None:
    model = build_model("mobilenet_v2", 3)
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    set_training(model, frozen=False, given=True)
    model(torch.rand(4, 3, 32, 32)).sum().backward()
    assert all(torch.equal(buffer, before[name]) for name, buffer in model.named_buffers())
    layers = [each for each in model.modules() if isinstance(each, nn.BatchNorm2d)]
    assert all(each.weight.grad is not None and each.bias.grad is not None for each in layers)
    assert any(isinstance(each, nn.Dropout) and each.training for each in model.modules())


def test_a_network_without_given_weights_finds_its_own_statistics() -> None:
    model = build_model("mobilenet_v2", 3)
    set_training(model, frozen=False)
    assert all(each.training for each in model.modules())


def test_precision_can_be_chosen() -> None:
    assert choose_compute(TrainingArguments(precision="bfloat16")).dtype is torch.bfloat16
    assert choose_compute(TrainingArguments(precision="float32")).dtype is torch.float32
    assert not choose_compute(TrainingArguments(channels_last="false")).channels_last


@pytest.mark.parametrize("able", [False, True])
def test_a_frozen_network_computes_in_float32_unless_told(
    able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "multiplies_bfloat16", lambda: able)
    auto, told = TrainingArguments(), TrainingArguments(precision="bfloat16")
    assert choose_compute(auto, frozen=True).dtype is torch.float32
    assert choose_compute(told, frozen=True).dtype is torch.bfloat16
    assert choose_compute(auto).dtype is (torch.bfloat16 if able else torch.float32)


def test_pictures_are_the_same_numbers_in_either_layout() -> None:
    pixels = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    card = ModelCard(architecture="resnet18", classes=("a", "b"))
    last = replace(CPU, channels_last=True).images(pixels, card)
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(last, CPU.images(pixels, card))


def test_autocast_runs_in_bfloat16() -> None:
    compute = Compute(device=torch.device("cpu"), dtype=torch.bfloat16, channels_last=True)
    layer = nn.Linear(4, 2)
    with compute.autocast():
        assert layer(torch.ones(1, 4)).dtype is torch.bfloat16
    with CPU.autocast():
        assert layer(torch.ones(1, 4)).dtype is torch.float32
