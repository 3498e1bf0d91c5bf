from __future__ import annotations

import torch
from torch import nn

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.features.backbone import Compute
from sm_entrypoints.models.model import build_model
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
