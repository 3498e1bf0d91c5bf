"""The network as it is served gives the scores of the network that was trained."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sm_entrypoints.models.fusion import fused, laid_out
from sm_entrypoints.models.model import build_model


@pytest.mark.parametrize("architecture", ["mobilenet_v2", "squeezenet1_1", "resnet18"])
def test_a_fused_network_gives_the_same_scores(architecture: str) -> None:
    torch.manual_seed(1)
    network = build_model(architecture, 5, image_size=64).eval()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):  # as a training leaves it
            layer.running_mean.normal_(0, 0.2)
            layer.running_var.uniform_(0.5, 2)
    faster = fused(network, 64)
    assert faster is not network
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in faster.modules())
    pictures = torch.randn(6, 3, 64, 64)
    with torch.inference_mode():
        wanted, found = network(pictures), faster(laid_out(pictures))
    assert found.argmax(1).equal(wanted.argmax(1))
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)


class _Branching(nn.Module):
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.mean((2, 3)) if batch.mean() > 0 else -batch.mean((2, 3))


class _Noisy(nn.Module):
    """Draws what tracing keeps as it was at that moment."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.mean((2, 3)) + torch.rand(3)


@pytest.mark.parametrize("kind", [_Branching, _Noisy])
def test_a_network_that_fusing_would_change_stays_as_it_is(kind: type[nn.Module]) -> None:
    network = kind()
    assert fused(network, 8) is network
