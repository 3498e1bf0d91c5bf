from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from sm_entrypoints.examination.heads import Head
from sm_entrypoints.examination.mistakes import put_head, worst_mistakes
from sm_entrypoints.examination.where import NoMapError, activation_maps, overlay
from sm_entrypoints.features.backbone import Compute
from sm_entrypoints.images.channels import Split
from sm_entrypoints.models.model import ModelCard, build_model

COMPUTE = Compute(device=torch.device("cpu"), dtype=torch.float32, channels_last=False)


class Averaging(nn.Module):
    """Red and blue maps, averaged, and a linear head: it says which colour there is more of."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(3, 2, 8, stride=8, bias=False)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.features.weight.zero_()
            self.features.weight[0, 0] = self.features.weight[1, 2] = 1 / 64
            self.classifier.weight.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]))

    def forward(self, images):
        return self.classifier(self.pool(self.features(images)).flatten(1))


def card_of(architecture, size=64):
    return ModelCard(
        architecture=architecture,
        classes=("red", "blue"),
        image_size=size,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
    )


@pytest.mark.parametrize("answer", [0, 1])
@pytest.mark.parametrize("quadrant", range(4))
def test_the_map_picks_the_planted_quadrant(quadrant, answer):
    pixels = torch.zeros((1, 3, 64, 64), dtype=torch.uint8)
    top, left = 32 * (quadrant // 2), 32 * (quadrant % 2)
    other_top, other_left = 32 - top, 32 - left
    pixels[0, 2 * answer, top : top + 32, left : left + 32] = 255
    pixels[0, 2 - 2 * answer, other_top : other_top + 32, other_left : other_left + 32] = 200
    model = Averaging().eval()
    places = activation_maps(model, card_of("averaging"), COMPUTE, pixels=pixels, answers=[answer])[
        0
    ]
    here = torch.zeros(8, 8, dtype=torch.bool)
    here[top // 8 : top // 8 + 4, left // 8 : left // 8 + 4] = True
    assert places[here].min() == pytest.approx(1.0, abs=1e-5)
    assert places[~here].max() == 0.0
    assert all(parameter.requires_grad for parameter in model.parameters())
    shown = overlay(pixels[0], places, 64)
    bright = np.asarray(shown.convert("L").resize((2, 2), Image.Resampling.BOX))
    assert int(bright.argmax()) == quadrant


@pytest.mark.parametrize("architecture", ["resnet18", "squeezenet1_1", "mobilenet_v3_small"])
def test_networks_of_torchvision_have_maps(architecture):
    torch.manual_seed(0)
    model = build_model(architecture, 2, image_size=64).eval().requires_grad_(False)
    pixels = torch.randint(0, 255, (2, 3, 64, 64), dtype=torch.uint8)
    maps = activation_maps(model, card_of(architecture), COMPUTE, pixels=pixels, answers=[0, 1])
    assert maps.shape[0] == 2
    assert min(maps.shape[1:]) > 1
    assert torch.isfinite(maps).all()


@pytest.mark.slow
def test_a_transformer_has_none():
    model = build_model("vit_b_32", 2, image_size=64).eval()
    pixels = torch.zeros((1, 3, 64, 64), dtype=torch.uint8)
    with pytest.raises(NoMapError, match="vit_b_32 has no map"):
        activation_maps(model, card_of("vit_b_32"), COMPUTE, pixels=pixels, answers=[0])


def test_a_head_is_put_where_features_enter_it_as_they_are():
    head = Head(weight=torch.randn(512, 2), bias=torch.randn(2))
    model = build_model("resnet18", 2).eval()
    assert put_head(model, head)
    assert torch.equal(model.fc.weight, head.weight.T)
    assert not put_head(build_model("squeezenet1_1", 2), head)
    assert not put_head(model, Head(weight=torch.randn(100, 2), bias=torch.randn(2)))


def test_the_worst_mistakes_come_first():
    split = Split(name="test", folder=Path(), paths=("a", "b", "c", "d"), labels=(0, 1, 0, 1))
    rows = torch.tensor([[0.5, 0.5], [0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.7, 0.3]])
    found = worst_mistakes(split, rows, 5, first=1)
    assert [(each.index, each.predicted) for each in found] == [(2, 1), (1, 0), (3, 0)]
