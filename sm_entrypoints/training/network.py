"""The part of a classifier that learns: frozen or not, and how its numbers are computed.

A frozen backbone is in evaluation mode (its batch normalisation keeps its statistics) and gives the
same features for the same image in every epoch. The *tail* is what follows: the head and the
dropout before it. Training the tail on features computed once is therefore the same training.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.images.batches import Batch
from sm_entrypoints.images.preparation import normalise
from sm_entrypoints.models.model import ModelCard, ModelError, head_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """Where and in which numbers a network runs; chosen by capability, never by a stopwatch.

    A choice by measured speed would differ between two runs of one seed.
    """

    device: torch.device
    dtype: torch.dtype
    channels_last: bool

    @contextmanager
    def autocast(self) -> Iterator[None]:
        """Run what is inside in bfloat16 where that is safe, when so chosen."""
        enabled = self.dtype is torch.bfloat16
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled):
            yield

    def images(self, pixels: Tensor, card: ModelCard) -> Tensor:
        """Return uint8 pixels as the network's float32 input, on the device."""
        inputs = normalise(pixels.to(self.device, non_blocking=True), card)
        return self.laid_out(inputs)

    def laid_out(self, inputs: Tensor) -> Tensor:
        """Return images or feature maps in the memory format of the network."""
        if self.channels_last and inputs.dim() == 4:
            return inputs.contiguous(memory_format=torch.channels_last)
        return inputs


def choose_compute(arguments: TrainingArguments, *, local_rank: int = 0) -> Compute:
    """Return the device, precision and memory format for ``arguments``.

    ``auto`` takes bfloat16 where the hardware multiplies it (measured on a 2-core AVX512-BF16
    CPU with channels_last: resnet18 trains 2.1 times, mobilenet_v2 1.7 times as fast at 224
    pixels), and channels_last always (1.0 to 1.8 times as fast).
    """
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", local_rank) if cuda else torch.device("cpu")
    bfloat16 = arguments.precision == "bfloat16"
    if arguments.precision == "auto":
        bfloat16 = multiplies_bfloat16()
    return Compute(
        device=device,
        dtype=torch.bfloat16 if bfloat16 else torch.float32,
        channels_last=arguments.channels_last != "false",
    )


def multiplies_bfloat16() -> bool:
    """Return whether the hardware that the network runs on multiplies bfloat16."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


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


class Tail(nn.Sequential):
    """The end of a network, run by itself: what it is fed with are features, not images."""


def tail_of(model: nn.Module) -> Tail:
    """Return the modules from the last features to the class scores, shared with ``model``.

    They are the top-level module that holds the head and the dropout just before it (googlenet
    and inception_v3 have it at the top level). Nothing before them is random in evaluation mode.
    """
    top = head_name(model).partition(".")[0]
    children = list(model.named_children())
    position = [name for name, _ in children].index(top)
    parts = [children[position][1]]
    if position and isinstance(children[position - 1][1], nn.Dropout):
        parts = [children[position - 1][1], nn.Flatten(1), *parts]
    # torchvision flattens after squeezenet's classifier, which ends in a pooling.
    return Tail(*parts, nn.Flatten(1))


def set_training(model: nn.Module, *, frozen: bool) -> None:
    """Put the model into training mode; with a frozen backbone only its tail."""
    model.train(not frozen)
    if frozen:
        tail_of(model).train()


def compute_features(
    model: nn.Module, card: ModelCard, loader: DataLoader[Batch], compute: Compute, *, limit: int
) -> Tensor | None:
    """Return what enters the tail for every image of ``loader``: float32, on the CPU.

    Rows are in the order of the split, which must have been read unshuffled and whole. None when
    they would take more than ``limit`` bytes.

    Raises:
        ModelError: the model did not call its tail (no torchvision classifier does that).
    """
    entered: list[Tensor] = []
    first = next(tail_of(model).children())
    hook = first.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0]))
    features: Tensor | None = None
    model.eval()
    try:
        for pixels, labels, indices, _ in loader:
            entered.clear()
            with torch.inference_mode(), compute.autocast():
                model(compute.images(pixels, card))
            if not entered:
                raise ModelError(f"{card.architecture} does not call its own classifier")
            batch = entered[0].float().cpu()
            if features is None:
                count = len(loader.dataset)  # type: ignore[arg-type]
                if batch[0].numel() * 4 * count > limit:
                    return None
                features = torch.empty((count, *batch.shape[1:]))
            features[indices] = batch
            del labels
    finally:
        hook.remove()
    return features


def feature_numbers(model: nn.Module, card: ModelCard, compute: Compute) -> int:
    """Return how many numbers enter the tail for one image; leaves the model in evaluation mode."""
    entered: list[int] = []
    first = next(tail_of(model).children())
    hook = first.register_forward_pre_hook(lambda _, inputs: entered.append(inputs[0][0].numel()))
    blank = torch.zeros((1, 3, card.image_size, card.image_size), dtype=torch.uint8)
    model.eval()
    try:
        with torch.inference_mode(), compute.autocast():
            model(compute.images(blank, card))
    finally:
        hook.remove()
    return entered[0]
