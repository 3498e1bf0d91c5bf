"""Which layers of a tail are the same for all trials, and which each trial has for itself.

A tail is ``before``, then ``own``. Nothing before the first layer that learns depends on a trial,
but for its seed, which decides the dropout. The layers of ``before`` up to the first dropout give
the same for an image in every epoch; ``fixed`` counts them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torchvision.ops.misc import Permute

Way = Literal["linear", "stacked", "apart"]

_ELEMENTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Hardsigmoid, nn.SiLU, nn.GELU, nn.Tanh, nn.Sigmoid),
    *(nn.LeakyReLU, nn.ELU, nn.Identity),
)
# What gives the same for a sample, whatever the others of its batch and the mode are.
_STEADY = (
    *_ELEMENTWISE,
    *(nn.Linear, nn.Conv2d, nn.LayerNorm, nn.Flatten, Permute),
    *(nn.AdaptiveAvgPool2d, nn.AvgPool2d, nn.MaxPool2d),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TailPlan:
    """The layers of a tail in their order, and how those that learn are run for many trials.

    ``way``: ``linear`` is one linear layer, the head; ``stacked`` are layers that can be run for
    many trials at once; ``apart`` runs the whole tail for each trial by itself.
    """

    before: tuple[nn.Module, ...]
    own: tuple[nn.Module, ...]
    fixed: int
    way: Way


def plan_tail(tail: nn.Sequential) -> TailPlan:
    """Return how to run a tail whose learning parameters are those that require gradients."""
    layers = tuple(_leaves(tail))
    first = next((place for place, layer in enumerate(layers) if learns(layer)), 0)
    before, own = layers[:first], layers[first:]
    if not all(isinstance(layer, (*_STEADY, nn.Dropout)) for layer in before):
        return TailPlan(before=(), own=layers, fixed=0, way="apart")
    dropouts = [place for place, layer in enumerate(before) if isinstance(layer, nn.Dropout)]
    fixed = min([*dropouts, len(before)])
    if isinstance(own[0], nn.Linear) and all(isinstance(layer, nn.Flatten) for layer in own[1:]):
        return TailPlan(before=before, own=own, fixed=fixed, way="linear")
    if _is_stack(own) or _is_map_head(own):
        return TailPlan(before=before, own=own, fixed=fixed, way="stacked")
    return TailPlan(before=(), own=layers, fixed=0, way="apart")


def run(layers: tuple[nn.Module, ...], inputs: Tensor) -> Tensor:
    """Return what layers make of inputs, which stay as they are."""
    for layer in layers:
        inputs = layer(inputs.clone() if getattr(layer, "inplace", False) else inputs)
    return inputs


def _leaves(module: nn.Module) -> Iterator[nn.Module]:
    if isinstance(module, nn.Sequential):
        for child in module.children():
            yield from _leaves(child)
    else:
        yield module


def learns(module: nn.Module) -> bool:
    """Say whether a layer has a parameter that requires gradients."""
    return any(parameter.requires_grad for parameter in module.parameters())


def _is_stack(layers: tuple[nn.Module, ...]) -> bool:
    """Whether layers are linear ones, dropout and functions of single numbers."""
    kinds = (nn.Linear, nn.Dropout, nn.Flatten, *_ELEMENTWISE)
    return isinstance(layers[0], nn.Linear) and all(isinstance(layer, kinds) for layer in layers)


def _is_map_head(layers: tuple[nn.Module, ...]) -> bool:
    """Whether layers are squeezenet's: scores for each pixel, then their mean."""
    head, *rest = layers
    kinds = (nn.AdaptiveAvgPool2d, nn.Flatten, *_ELEMENTWISE)
    return (
        isinstance(head, nn.Conv2d)
        and head.groups == 1
        and head.padding_mode == "zeros"
        and not isinstance(head.padding, str)
        and all(isinstance(layer, kinds) for layer in rest)
    )
