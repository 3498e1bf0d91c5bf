"""Pools of pictures: real features of the sample drawings, and made-up ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import load_file

from sm_entrypoints.examination.pool import Pool
from sm_entrypoints.images.channels import Split

# Of samples/clipart by MobileNetV2 with ImageNet weights: 128 principal components.
CLIPART = Path(__file__).parent / "clipart.safetensors"
NAMES = ("train", "valid", "test")


def pool_of(features, labels, sizes, *, projected=False):
    """Return a pool of rows that are split by ``sizes``; ``projected``: they are components."""
    count = int(max(labels)) + 1
    classes = tuple(f"class {number}" for number in range(count))
    splits, start, by_split = [], 0, {}
    for name, size in zip(NAMES, sizes, strict=False):
        stop = start + size
        splits.append(
            Split(
                name=name,
                folder=Path("nowhere"),
                paths=tuple(f"{name}/{number}.jpg" for number in range(size)),
                labels=tuple(int(label) for label in labels[start:stop]),
            )
        )
        by_split[name] = features[start:stop]
        start = stop
    pool = Pool.of(splits, by_split, classes)
    return replace(pool, numbers=features) if projected else pool


def clipart():
    """Return features, labels and the sizes of the splits of the sample drawings."""
    tensors = load_file(CLIPART)
    return tensors["features"].float(), tensors["labels"].long(), tensors["splits"].tolist()


def clouds(counts, *, numbers=32, distance=5.0, seed=0):
    """Return features and labels of classes that are clouds around centres ``distance`` apart."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(len(counts), numbers, generator=generator)
    centres = distance * centres / centres.norm(dim=1, keepdim=True)
    labels = torch.tensor([label for label, count in enumerate(counts) for _ in range(count)])
    order = torch.randperm(len(labels), generator=generator)
    noise = torch.randn(len(labels), numbers, generator=generator)
    return (centres[labels] + noise)[order], labels[order]


def mislabelled(labels, share, classes, seed):
    """Return labels of which a share is wrong, and which those are."""
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(labels), generator=generator)[: round(share * len(labels))]
    wrong = labels.clone()
    step = torch.randint(1, classes, (len(chosen),), generator=generator)
    wrong[chosen] = (labels[chosen] + step) % classes
    return wrong, set(chosen.tolist())
