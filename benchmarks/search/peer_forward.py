"""One best-effort forward pass over every picture of a data set, in plain torch and torchvision.

    python peer_forward.py DATA MODEL WEIGHTS.safetensors IMAGE_SIZE [float32|bfloat16]

Threads decode ahead of the network (with Pillow's ``draft``), memory is laid out channels last, and
on a CPU TorchScript fuses the layers (not with bfloat16); the network is on the GPU where there is
one. It keeps nothing: it is the least that any search has to do, and what a search is compared
with. bfloat16 is no fair measure where it gives many pictures another class: see the other rows.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor
from torchvision import models
from torchvision.transforms import functional as F

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BATCH = 64
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def decode(path: Path, size: int) -> Tensor:
    """Return a picture as the network takes it: resized, cropped and normalised."""
    shorter = round(size * 256 / 224)
    with Image.open(path) as image:
        image.draft("RGB", (shorter, shorter))
        pixels = F.center_crop(F.resize(image.convert("RGB"), [shorter]), [size])
        return F.normalize(F.to_tensor(pixels), MEAN, STD)


def batches(paths: list[Path], size: int) -> Iterator[Tensor]:
    """Give batches that threads decode ahead of time."""

    def make(chunk: list[Path]) -> Tensor:
        return torch.stack([decode(path, size) for path in chunk])

    chunks = [paths[start : start + BATCH] for start in range(0, len(paths), BATCH)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting = deque(pool.submit(make, chunk) for chunk in chunks[:4])
        for chunk in [*chunks[4:], *[None] * len(waiting)]:
            yield waiting.popleft().result()
            if chunk is not None:
                waiting.append(pool.submit(make, chunk))


def network(name: str, weights: Path) -> torch.nn.Module:
    """Return torchvision's network with these weights, for evaluation."""
    model = models.get_model(name, weights=None)
    model.load_state_dict(load_file(weights), strict=False)
    return model.eval().to(DEVICE, memory_format=torch.channels_last)


def fused(model: torch.nn.Module, size: int) -> torch.nn.Module:
    """Return the network as one graph."""
    example = torch.zeros((2, 3, size, size)).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        graph = torch.jit.freeze(torch.jit.trace(model, example, check_trace=False))
        return torch.jit.optimize_for_inference(graph)


def seen_by(model: torch.nn.Module, images: Tensor, *, narrow: bool) -> Tensor:
    """Return what a network gives for images, in bfloat16 if so told."""
    with torch.inference_mode(), torch.autocast(DEVICE, dtype=torch.bfloat16, enabled=narrow):
        laid_out = images.to(DEVICE).contiguous(memory_format=torch.channels_last)
        return model(laid_out).float()


def main(data: Path, name: str, weights: Path, size: int, numbers: str = "float32") -> None:
    """Run every picture through the network once; print the seconds since all was imported."""
    started = time.perf_counter()
    narrow, model = numbers == "bfloat16", network(name, weights)
    if DEVICE == "cpu" and not narrow:
        model = fused(model, size)
    paths = sorted(data.rglob("*.jpg"))
    seen = sum(len(seen_by(model, each, narrow=narrow).cpu()) for each in batches(paths, size))
    print(json.dumps({"pictures": seen, "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), *sys.argv[5:])
