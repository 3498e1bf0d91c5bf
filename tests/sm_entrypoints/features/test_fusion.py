"""A network as one graph gives what the network gives, and leaves it as it was."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from sm_entrypoints.features.backbone import Backbone, tail_of
from sm_entrypoints.features.fusion import Entering, FusionError, fused
from tests.sm_entrypoints.features.worlds import built


@pytest.mark.parametrize(
    "architecture",
    [
        "squeezenet1_1",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in (
                "alexnet",
                "convnext_tiny",
                "densenet121",
                "efficientnet_b0",
                "googlenet",
                "inception_v3",
                "mnasnet0_5",
                "mobilenet_v2",
                "mobilenet_v3_small",
                "regnet_y_400mf",
                "resnet18",
                "shufflenet_v2_x0_5",
                "swin_t",
                "vit_b_16",
            )
        ),
    ],
)
def test_a_graph_gives_what_the_network_gives_to_any_number_of_pictures(architecture: str) -> None:
    size = {"alexnet": 224, "inception_v3": 96, "vit_b_16": 224}.get(architecture, 64)
    made = built(architecture, image_size=size, resize_size=size)
    made = replace(made, compute=replace(made.compute, channels_last=True))
    for module in made.model.modules():  # a random network's maps would vanish otherwise
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
    graph = Backbone(replace(made, compute=replace(made.compute, fused=True)))
    before = {name: tensor.clone() for name, tensor in made.model.state_dict().items()}
    # Sixteen pictures of that network would take as long as all others together.
    for count in (1, 3) if architecture == "vit_b_16" else (1, 3, 16):
        pixels = torch.randint(0, 256, (count, 3, size, size), dtype=torch.uint8)
        rows, expected = graph.features(pixels), Backbone(made).features(pixels)
        assert rows.shape == expected.shape
        assert torch.linalg.norm(rows - expected) <= 1e-4 * torch.linalg.norm(expected)
    assert not isinstance(graph._graph, Entering), "it was not fused"
    after = made.model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())


def test_hooks_of_others_neither_fire_nor_go_while_a_graph_is_made() -> None:
    made, fired = built(), []
    made.model.register_forward_hook(lambda *_: fired.append(1))
    graph = Backbone(replace(made, compute=replace(made.compute, channels_last=True, fused=True)))
    pixels = torch.zeros((2, 3, 64, 64), dtype=torch.uint8)
    graph.features(pixels)
    assert fired == []
    Backbone(made).features(pixels)
    assert fired == [1]


class Choosy(nn.Module):
    """Its way depends on what it sees, and on a thing that no graph can hold."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images if isinstance(images.sum().item(), Choosy) else self.refuse(images)

    def refuse(self, images: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("not with me")


def test_a_network_that_cannot_be_fused_says_so() -> None:
    with pytest.raises(FusionError, match=r"cannot be made one graph: .*not with me"):
        fused(Choosy(), torch.zeros((2, 3, 8, 8)))


@pytest.mark.parametrize("step", ["trace", "freeze", "optimize_for_inference", "running it"])
def test_a_backbone_that_cannot_be_fused_runs_as_it_is(
    monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise AttributeError("module 'torch.jit' has no such attribute")

    def refuse(*_: object) -> None:
        raise RuntimeError("input size is not divisible by the output size")

    made = built()
    pixels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    expected = Backbone(made).features(pixels)
    if step == "running it":
        monkeypatch.setattr(torch.jit, "optimize_for_inference", lambda _: refuse)
    else:
        monkeypatch.setattr(torch.jit, step, gone)
    graph = Backbone(replace(made, compute=replace(made.compute, fused=True)))
    assert torch.equal(graph.features(pixels), expected)


def test_a_module_that_is_never_called_is_an_error() -> None:
    made = built()
    with pytest.raises(LookupError):
        Entering(made.model, nn.Linear(1, 1))(torch.zeros((1, 3, 64, 64)))
    assert Entering(made.model, next(tail_of(made.model).children()))(
        torch.zeros((1, 3, 64, 64))
    ).shape == (1, 512, 3, 3)
