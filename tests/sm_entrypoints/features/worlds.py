"""A tiny frozen network over tiny pictures, and how many pictures its backbone saw."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.features.backbone import Built, Compute
from sm_entrypoints.features.features import FeatureFolders, Features, features_of
from sm_entrypoints.images.channels import Split
from sm_entrypoints.images.preparation import evaluation_pixels, open_image
from sm_entrypoints.models.model import ModelCard, build_model
from tests.sm_entrypoints.pictures import CLASSES

CPU = Compute(device=torch.device("cpu"), dtype=torch.float32, channels_last=False)
ARGUMENTS = TrainingArguments(precision="float32", channels_last="false")


def built(architecture: str = "squeezenet1_1", *, seed: int = 0, **card: Any) -> Built:
    """Return a frozen network with random weights for pictures of 64 pixels.

    Squeezenet's features are about 1 even so; deep networks' vanish, and then all are equal.
    """
    torch.manual_seed(seed)
    made = ModelCard(architecture=architecture, classes=CLASSES, image_size=64, resize_size=73)
    return Built(
        model=build_model(architecture, len(CLASSES)).eval(),
        card=replace(made, **card),
        compute=CPU,
        frozen=True,
        pretrained=False,
    )


class Counted:
    """Counts the pictures that the network of ``built`` sees."""

    def __init__(self, built: Built) -> None:
        self.pictures = 0
        built.model.register_forward_pre_hook(self._count)

    def _count(self, _: object, inputs: tuple[Tensor, ...]) -> None:
        self.pictures += len(inputs[0])

    def take(self) -> int:
        """Return how many pictures it saw since it was asked."""
        seen, self.pictures = self.pictures, 0
        return seen


def take(made: Built, *splits: Split, told: list[str] | None = None, **folders: Path) -> Features:
    """Return the features of ``splits``, with ``read=`` or ``write=`` a folder."""
    said = told if told is not None else []
    where = FeatureFolders(
        read=tuple(path for name, path in folders.items() if name == "read"),
        write=folders.get("write"),
        tell=said.append,
    )
    return features_of(splits, made, ARGUMENTS, folders=where)


def by_hand(made: Built, split: Split) -> Tensor:
    """Return the class scores of ``split``, one picture after the other through all layers."""
    rows = []
    for path in split.paths:
        pixels = evaluation_pixels(open_image(split.folder / path), made.card)
        with torch.inference_mode():
            rows.append(made.model.eval()(made.compute.images(pixels[None], made.card)))
    return torch.cat(rows)
