"""Where a network looked: which places of a picture made it give its answer.

A class activation map: the last feature map, each channel weighted by what the answer's score gains
from it (Grad-CAM, Selvaraju et al., arXiv:1610.02391). Where the map is averaged and a linear head
follows (ResNet, MobileNet, DenseNet, EfficientNet, …) it is the exact map of Zhou et al.
(arXiv:1512.04150).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from sm_entrypoints.features.backbone import Compute
from sm_entrypoints.models.model import ModelCard


class NoMapError(Exception):
    """Raised for a network that has no map of places before its answer; says which."""


@dataclass(slots=True)
class _Watched:
    """The last module of a network whose output is a map, and whether tokens come after it."""

    module: nn.Module | None = None
    tokens_after: bool = False

    def note(self, module: nn.Module, _: object, output: object) -> None:
        if not isinstance(output, Tensor):
            return
        if output.dim() == 4 and min(output.shape[2:]) > 1:
            self.module, self.tokens_after = module, False
        elif output.dim() == 3:
            self.tokens_after = True


def last_map(model: nn.Module, card: ModelCard, compute: Compute) -> nn.Module:
    """Return the module whose output is the last map of places, found with one blank picture.

    Raises:
        NoMapError: there is none, as in a vision transformer, which goes on with tokens.
    """
    watched = _Watched()
    leaves = [module for module in model.modules() if not list(module.children())]
    side = card.image_size
    with ExitStack() as hooks, torch.inference_mode():
        for module in leaves:
            hooks.enter_context(module.register_forward_hook(watched.note))
        model(compute.images(torch.zeros((1, 3, side, side), dtype=torch.uint8), card))
    if watched.module is None or watched.tokens_after:
        raise NoMapError(f"{card.architecture} has no map of places before its answer")
    return watched.module


def activation_maps(
    model: nn.Module, card: ModelCard, compute: Compute, *, pixels: Tensor, answers: Sequence[int]
) -> Tensor:
    """Return a map from 0 to 1 for each picture of ``pixels`` (uint8): what spoke for its answer.

    The model is in evaluation mode, and float32.

    Raises:
        NoMapError: this network has none.
    """
    module = last_map(model, card, compute)
    kept: list[Tensor] = []

    def from_here(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        # Of a frozen backbone nothing needs gradients before this.
        kept.append(output.detach().clone().requires_grad_())
        # Layers that work in place must not change what was kept.
        return kept[-1].clone()

    with module.register_forward_hook(from_here), torch.enable_grad(), _frozen(model):
        scores = model(compute.images(pixels, card))
        chosen = scores[torch.arange(len(answers)), torch.tensor(answers)].sum()
        (gradient,) = torch.autograd.grad(chosen, kept[-1])
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    maps = (weights * kept[-1].detach()).sum(1).relu().float().cpu()
    return maps / maps.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)


@contextmanager
def _frozen(model: nn.Module) -> Iterator[None]:
    """Let no parameter ask for a gradient meanwhile: only the map does."""
    learning = [each for each in model.parameters() if each.requires_grad]
    for each in learning:
        each.requires_grad_(False)
    try:
        yield
    finally:
        for each in learning:
            each.requires_grad_(True)


def overlay(pixels: Tensor, places: Tensor, side: int) -> Image.Image:
    """Return a picture (uint8, (3, height, width)) with its map laid over it, ``side`` pixels wide.

    What spoke most for the answer is left as it is under a warm light; the rest is dimmed.
    """
    picture = Image.fromarray(pixels.permute(1, 2, 0).numpy()).resize((side, side))
    grey = Image.fromarray((places.numpy() * 255).astype(np.uint8))
    heat = np.asarray(grey.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float32) / 255
    base = np.asarray(picture, dtype=np.float32)
    light = np.array([255.0, 120.0, 0.0], dtype=np.float32)
    shown = base * (0.35 + 0.65 * heat[..., None]) * (1 - 0.35 * heat[..., None])
    shown += light * 0.35 * heat[..., None]
    return Image.fromarray(shown.clip(0, 255).astype(np.uint8))
