"""What features depend on, besides the bytes of the picture."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import PIL
import torch
import torchvision
from torch import nn

from sm_entrypoints.features.backbone import Built, tail_name

_FOLDER_CHARACTERS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureKey:
    """All that features depend on: another value of any member is another key.

    Attributes:
        weights: the digest of every tensor before the tail.
        preprocessing: the version of the way from a file's bytes to pixels.
        dtype: what the network computes in, as in ``bfloat16``.
        device: ``cpu`` or ``cuda``, whose sums differ.
    """

    weights: str
    architecture: str
    image_size: int
    resize_size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    preprocessing: int
    dtype: str
    channels_last: bool
    compiled: bool
    device: str
    torch: str
    torchvision: str
    pillow: str

    @classmethod
    def of(cls, built: Built) -> FeatureKey:
        """Return the key of what the backbone of ``built`` makes of pictures."""
        card, compute = built.card, built.compute
        return cls(
            weights=backbone_digest(built.model),
            architecture=card.architecture,
            image_size=card.image_size,
            resize_size=card.resize_size,
            mean=card.mean,
            std=card.std,
            preprocessing=card.preprocessing,
            dtype=compute.dtype_name,
            channels_last=compute.channels_last,
            compiled=compute.fused,
            device=compute.device.type,
            torch=torch.__version__,
            torchvision=torchvision.__version__,
            pillow=PIL.__version__,
        )

    @property
    def digest(self) -> str:
        """64 hexadecimal characters."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def folder(self) -> str:
        """The name of the folder that holds the features of this key."""
        return self.digest[:_FOLDER_CHARACTERS]


def backbone_digest(model: nn.Module) -> str:
    """Return the digest of the names, types, shapes and values of the tensors before the tail."""
    digest, tail = hashlib.sha256(), f"{tail_name(model)}."
    for name, tensor in sorted(model.state_dict().items()):
        if not name.startswith(tail):
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
            values = tensor.detach().cpu().contiguous().reshape(-1)
            digest.update(values.view(torch.uint8).numpy())
    return digest.hexdigest()
