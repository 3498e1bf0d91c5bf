"""Many heads in one training that runs the backbone again in every epoch, as DINOv2's evaluation.

    python peer_many_heads.py DATA MODEL WEIGHTS.safetensors IMAGE_SIZE HEADS EPOCHS

After ``dinov2/eval/linear.py`` (Apache-2.0): each batch goes through the frozen backbone once, and
one optimiser moves all heads, each with a learning rate of its own. Decoding and the forward pass
are those of ``peer_forward``, so it is as fast as that way of searching can be here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from peer_forward import BATCH, DEVICE, batches, fused, network, seen_by
from torch import nn

_LOWEST, _HIGHEST = -4.0, -2.0


def main(data: Path, name: str, weights: Path, size: int, heads: int, epochs: int) -> None:
    """Train the heads; print the best validation loss of any."""
    model = network(name, weights)
    head = "fc" if hasattr(model, "fc") else "classifier"
    width = [layer for layer in getattr(model, head).modules() if isinstance(layer, nn.Linear)]
    setattr(model, head, nn.Identity())
    if DEVICE == "cpu":
        model = fused(model, size)
    labels = sorted(path.name for path in (data / "train").iterdir())
    linear = nn.ModuleList(nn.Linear(width[-1].in_features, len(labels)) for _ in range(heads)).to(
        DEVICE
    )
    rates = torch.logspace(_LOWEST, _HIGHEST, heads).tolist()
    groups = [
        {"params": each.parameters(), "lr": lr} for each, lr in zip(linear, rates, strict=True)
    ]
    optimizer, best = torch.optim.AdamW(groups), float("inf")
    for epoch in range(epochs):
        losses = _pass(model, linear, (data / "train", labels, size), optimizer, epoch)
        with torch.no_grad():
            losses = _pass(model, linear, (data / "valid", labels, size), None, epoch)
        best = min(best, *losses)
    print(f"best validation loss {best:.4f}")


def _pass(
    model: nn.Module,
    linear: nn.ModuleList,
    data: tuple[Path, list[str], int],
    optimizer: torch.optim.Optimizer | None,
    epoch: int,
) -> list[float]:
    """Return each head's mean loss over a split: its folder, the classes, the pixels of a side."""
    folder, labels, size = data
    paths = sorted(folder.rglob("*.jpg"))
    if optimizer is not None:
        order = torch.randperm(len(paths), generator=torch.Generator().manual_seed(epoch))
        paths = [paths[place] for place in order]
    truth = torch.tensor([labels.index(path.parent.name) for path in paths], device=DEVICE)
    totals = [0.0] * len(linear)
    for number, images in enumerate(batches(paths, size)):
        features = seen_by(model, images, narrow=False).clone()
        target = truth[number * BATCH : number * BATCH + len(images)]
        losses = [nn.functional.cross_entropy(each(features), target) for each in linear]
        if optimizer is not None:
            optimizer.zero_grad()
            torch.stack(losses).sum().backward()
            optimizer.step()
        totals = [
            total + float(loss.detach()) * len(images)
            for total, loss in zip(totals, losses, strict=True)
        ]
    return [total / len(paths) for total in totals]


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), *(int(text) for text in sys.argv[4:7]))
