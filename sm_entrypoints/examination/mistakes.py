"""The worst mistakes, and pictures of where the network looked when it made them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sm_entrypoints.examination.heads import Head
from sm_entrypoints.features.backbone import Compute, tail_of
from sm_entrypoints.images.channels import Split
from sm_entrypoints.images.preparation import TRAINING_FORMATS, evaluation_pixels, open_image
from sm_entrypoints.models.model import ModelCard, head_name

# What may lie between features and a linear head that is put in its place.
_PLAIN = (nn.Dropout, nn.Flatten, nn.Identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network, in evaluation mode, with what it needs to see pictures."""

    model: nn.Module
    card: ModelCard
    compute: Compute


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """A picture by its split and place in it, with the wrong answer and its probability."""

    split: Split
    index: int
    predicted: int
    probability: float


def worst_mistakes(
    split: Split, probabilities: Tensor, most: int, *, first: int = 0
) -> list[Mistake]:
    """Return the mistakes in which the label got the least probability, the worst first.

    ``first`` is the row of the split's first picture in ``probabilities``.
    """
    rows = probabilities[first : first + len(split)]
    labels = torch.tensor(split.labels)
    answers = rows.argmax(1)
    own = rows[torch.arange(len(rows)), labels]
    wrong = [index for index in own.argsort().tolist() if answers[index] != labels[index]]
    return [
        Mistake(
            split=split,
            index=index,
            predicted=int(answers[index]),
            probability=float(rows[index].max()),
        )
        for index in wrong[:most]
    ]


def pixels_of(mistakes: Sequence[Mistake], card: ModelCard) -> Tensor:
    """Return what the network saw of each picture, as uint8.

    Raises:
        ImageError: one is bad.
    """
    pictures = []
    for each in mistakes:
        path = each.split.file(each.index)
        image = open_image(path, formats=TRAINING_FORMATS, least_side=card.least_side)
        pictures.append(evaluation_pixels(image, card))
    return torch.stack(pictures)


def put_head(model: nn.Module, head: Head) -> bool:
    """Give the network a head that was fitted to its features; False where it takes none.

    It takes one where the features go into its linear head as they are.
    """
    own = model.get_submodule(head_name(model))
    layers = [layer for layer in tail_of(model).modules() if not list(layer.children())]
    plain = all(layer is own or isinstance(layer, _PLAIN) for layer in layers)
    if not plain or not isinstance(own, nn.Linear) or own.in_features != len(head.weight):
        return False
    with torch.no_grad():
        own.weight.copy_(head.weight.T)
        own.bias.copy_(head.bias)
    return True
