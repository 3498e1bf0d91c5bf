"""Which architecture a set of tensors resembles, to help someone who named another one."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch
import torchvision
from torch import Tensor, nn

from sm_entrypoints.models.model import head_name
from sm_entrypoints.states.names import renamed

# Less than that is family likeness.
_ENOUGH = 0.9


def looks_like(tensors: Mapping[str, Tensor]) -> str | None:
    """Return the torchvision classifier whose backbone these tensors are; None when none's is.

    Compares names and shapes with every classifier, made without memory: about five seconds.
    RegNets cannot be made so, and are not recognised.
    """
    best, share = None, _ENOUGH
    for architecture in torchvision.models.list_models(module=torchvision.models):
        model = _outline(architecture)
        if model is not None and (model_share := _share(tensors, model)) > share:
            best, share = architecture, model_share
    return best


@cache
def _outline(architecture: str) -> nn.Module | None:
    if architecture.startswith("regnet"):
        return None
    # These two draw their weights slowly, and warn of it, unless told not to.
    options = {"init_weights": False} if architecture in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        model: nn.Module = torchvision.models.get_model(architecture, weights=None, **options)
    return model


def _share(tensors: Mapping[str, Tensor], model: nn.Module) -> float:
    """Return how much of a model's backbone the tensors are, as a share of all names of both."""
    top = head_name(model).partition(".")[0]
    wanted = {
        name: value.shape
        for name, value in model.state_dict().items()
        if not name.startswith((f"{top}.", "AuxLogits.", "aux1.", "aux2."))
    }
    ours = renamed(tensors, model).tensors
    same = len([n for n, shape in wanted.items() if n in ours and ours[n].shape == shape])
    extra = len([n for n in ours if n not in wanted and not n.startswith(f"{top}.")])
    return same / (len(wanted) + extra)
