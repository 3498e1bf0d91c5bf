"""The part of a classifier that learns: frozen or not, and how its numbers are computed.

A frozen backbone is in evaluation mode (its batch normalisation keeps its statistics) and gives the
same features for the same image in every epoch. Training the tail, which is what follows, on
features computed once is therefore the same training.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.features.backbone import Compute, multiplies_bfloat16, tail_of
from sm_entrypoints.models.model import ModelCard, ModelError, head_name


def choose_compute(
    arguments: TrainingArguments, *, frozen: bool = False, local_rank: int = 0
) -> Compute:
    """Return the device, precision and memory format for ``arguments``.

    ``auto`` takes bfloat16 where all layers learn and the hardware multiplies it (measured on a
    2-core AVX512-BF16 CPU with channels_last: resnet18 trains 2.1 times, mobilenet_v2 1.7 times as
    fast at 224 pixels), and channels_last always (1.0 to 1.8 times as fast). A ``frozen`` backbone
    does not learn to live with coarse numbers: bfloat16 changes the class of many pictures.
    """
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", local_rank) if cuda else torch.device("cpu")
    bfloat16 = arguments.precision == "bfloat16"
    if arguments.precision == "auto":
        bfloat16 = not frozen and multiplies_bfloat16()
    return Compute(
        device=device,
        dtype=torch.bfloat16 if bfloat16 else torch.float32,
        channels_last=arguments.channels_last != "false",
    )


def freeze_backbone(model: nn.Module, *, fresh: Sequence[str] = ()) -> None:
    """Let only the head learn, and ``fresh``: the layers before it that have no weights yet."""
    model.requires_grad_(False)
    for name in (head_name(model), *fresh):
        model.get_submodule(name).requires_grad_(True)


def require_batch(model: nn.Module, card: ModelCard, *, smallest: int, frozen: bool) -> None:
    """Check that a network can learn from its smallest batch, and take images of its size at all.

    Batch normalisation in training mode needs several values per channel: of one image it has as
    many as its map has pixels, and the last maps of a small image have one.

    Raises:
        ModelError: it cannot; says what to do.
    """
    trial = copy.deepcopy(model).train(not frozen)
    side = card.image_size
    device = next(model.parameters()).device
    try:
        with torch.random.fork_rng(), torch.inference_mode():
            trial(torch.zeros(smallest, 3, side, side, device=device))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise ModelError(
            f"{card.architecture} cannot learn from a batch of one image at image_size={side}: its "
            "batch normalisation has one value per channel there. Give batch_size=2 or more, a "
            "larger image_size, or trainable=head"
        ) from None
    except RuntimeError as error:
        if "out of memory" in str(error).lower():
            raise
        first = str(error).splitlines()[0]
        raise ModelError(
            f"{card.architecture} does not take image_size={side}: {first}. Give a larger one"
        ) from None


def set_training(model: nn.Module, *, frozen: bool, given: bool = False) -> None:
    """Put the model into training mode; with a frozen backbone only its tail.

    Batch normalisation of a network with ``given`` weights goes on with the means and variances
    that these came with, as the network is evaluated and served; its factors and shifts learn.
    Those of a few small batches would be others, and a head that fits the given ones gets worse.
    """
    model.train(not frozen)
    if frozen:
        tail_of(model).train()
    elif given:
        for layer in model.modules():
            if isinstance(layer, _BatchNorm):
                layer.eval()
