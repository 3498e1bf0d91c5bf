"""A model as a backbone and its tail, and the numbers that it computes in.

The *tail* is the head and the dropout before it. What enters the tail are the *features*: of a
frozen backbone, in evaluation mode, they are constants of a picture.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from sm_entrypoints.features.fusion import Entering, FusionError, Graph, fused
from sm_entrypoints.images.preparation import normalise
from sm_entrypoints.models.model import ModelCard, ModelError, head_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """Where and in which numbers a network runs; chosen by capability, never by a stopwatch.

    A choice by measured speed would differ between two runs of one seed. ``fused``: as one graph
    (:mod:`sm_entrypoints.features.fusion`), which only a backbone's features can be computed by.
    """

    device: torch.device
    dtype: torch.dtype
    channels_last: bool
    fused: bool = False

    @property
    def dtype_name(self) -> str:
        """What it computes in, as in ``bfloat16``."""
        return str(self.dtype).removeprefix("torch.")

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Run what is inside in bfloat16 where that is safe, when so chosen."""
        enabled = self.dtype is torch.bfloat16
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled):
            yield

    def images(self, pixels: Tensor, card: ModelCard) -> Tensor:
        """Return uint8 pixels as the network's float32 input, on the device."""
        # Laid out as bytes: the same numbers as afterwards, with a quarter of the copying.
        return normalise(self.laid_out(pixels.to(self.device, non_blocking=True)), card)

    def laid_out(self, inputs: Tensor) -> Tensor:
        """Return images or feature maps in the memory format of the network."""
        if self.channels_last and inputs.dim() == 4:
            return inputs.contiguous(memory_format=torch.channels_last)
        return inputs


def multiplies_bfloat16() -> bool:
    """Return whether the hardware that the network runs on multiplies bfloat16."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """The model on its device, and what is known before any image was decoded."""

    model: nn.Module
    card: ModelCard
    compute: Compute
    frozen: bool
    pretrained: bool


class Tail(nn.Sequential):
    """The end of a network, run by itself: what it is fed with are features, not images."""


def tail_name(model: nn.Module) -> str:
    """Return the name of the top-level module that holds the head."""
    return head_name(model).partition(".")[0]


def tail_of(model: nn.Module) -> Tail:
    """Return the modules from the last features to the class scores, shared with ``model``.

    They are the top-level module that holds the head and the dropout just before it (googlenet
    and inception_v3 have it at the top level). Nothing before them is random in evaluation mode.
    """
    top = tail_name(model)
    children = list(model.named_children())
    position = [name for name, _ in children].index(top)
    parts = [children[position][1]]
    if position and isinstance(children[position - 1][1], nn.Dropout):
        parts = [children[position - 1][1], nn.Flatten(1), *parts]
    # torchvision flattens after squeezenet's classifier, which ends in a pooling.
    return Tail(*parts, nn.Flatten(1))


def run_tail_alone(model: nn.Module) -> None:
    """Let the model take features instead of images from now on: it runs its tail and no more.

    Hooks on the model and on the modules of its tail fire as before, by the same names. The
    model's own way is back after :func:`run_whole_network`.
    """
    model.forward = tail_of(model).forward  # an instance's own method hides that of its class


def run_whole_network(model: nn.Module) -> None:
    """Undo :func:`run_tail_alone`, if it was called."""
    vars(model).pop("forward", None)


@contextmanager
def without_hooks(model: nn.Module) -> Iterator[None]:
    """Take every forward hook off a model, and put them all back in the end."""
    names = ("_forward_hooks", "_forward_pre_hooks")
    kept = [(module, name, getattr(module, name)) for module in model.modules() for name in names]
    for module, name, _ in kept:
        setattr(module, name, OrderedDict())
    try:
        yield
    finally:
        for module, name, hooks in kept:
            setattr(module, name, hooks)


class Backbone:
    """The part of a model before its tail, in evaluation mode, in the numbers of ``compute``."""

    def __init__(self, built: Built) -> None:
        self.built = built
        self._graph: Graph | None = None

    def features(self, pixels: Tensor) -> Tensor:
        """Return what enters the tail for uint8 pixels, on the CPU, in the type it has there.

        Leaves the model in evaluation mode. One that cannot be fused is run as it is.

        Raises:
            ModelError: the model did not call its tail (no torchvision classifier does that).
        """
        model, card, compute = self.built.model, self.built.card, self.built.compute
        network = Entering(model, next(tail_of(model).children())).eval()
        inputs = compute.images(pixels, card)
        try:
            if compute.fused and self._graph is None:
                self._graph = _fused(network, inputs)
            with torch.inference_mode(), compute.autocast():
                entered = (self._graph or network)(inputs)
        except LookupError:
            raise _not_called(card) from None
        return entered.cpu()


def feature_shape(built: Built) -> tuple[int, ...]:
    """Return the shape of one picture's features.

    The network sees one blank picture on the CPU, wherever it is: a GPU takes seconds to start, and
    need not where all features are kept. Leaves the model in evaluation mode.

    Raises:
        ModelError: the model did not call its tail (no torchvision classifier does that).
    """
    model, card = built.model, built.card
    network = Entering(model, next(tail_of(model).children())).eval()
    state = {
        name: tensor.cpu()
        for name, tensor in (*network.named_parameters(), *network.named_buffers())
    }
    blank = torch.zeros((1, 3, card.image_size, card.image_size))
    try:
        with torch.inference_mode(), without_hooks(model):
            entered: Tensor = functional_call(network, state, (blank,))
    except LookupError:
        raise _not_called(card) from None
    return tuple(entered.shape[1:])


def _not_called(card: ModelCard) -> ModelError:
    """Return the error of a model that does not run its own tail."""
    return ModelError(f"{card.architecture} does not call its own classifier")


def _fused(network: Entering, inputs: Tensor) -> Graph:
    try:
        with without_hooks(network.model):
            return fused(network, torch.cat([inputs[:1]] * 2))
    except FusionError:
        return network
