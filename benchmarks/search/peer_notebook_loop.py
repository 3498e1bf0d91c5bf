"""The write-ups' training loop with its bugs repaired, once a trial: what a tuning job runs.

    python peer_notebook_loop.py DATA MODEL WEIGHTS.safetensors IMAGE_SIZE '{"lr": 0.01, …}'

As in both write-ups, every epoch decodes every picture and runs the whole network, with all but the
head frozen. Repaired are: the backbone stays in evaluation mode (theirs let batch normalisation
drift), losses are means over pictures, accuracies are not rounded, and the order has a seed. Its
pictures, their order, the dropout and the head's first weights are those of ``train.py``, so that
both can be held to the same losses. It prints the best validation loss.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch import Tensor, nn

from sm_entrypoints.contract import IMAGENET_MEAN, IMAGENET_STD
from sm_entrypoints.images.batches import BatchOrder, ImageData, make_loader
from sm_entrypoints.images.channels import read_splits
from sm_entrypoints.models.model import ModelCard, build_model, head_name, resize_size
from sm_entrypoints.models.weights import fit_weights, load_fit, read_weights
from sm_entrypoints.training.step import seed_dropout


def main(data: Path, weights: Path, chosen: dict[str, Any]) -> None:
    """Train one trial; print its best validation loss."""
    splits = read_splits({name: data / name for name in ("train", "valid", "test")})
    torch.manual_seed(chosen["seed"])
    size = chosen["image_size"]
    model = build_model(chosen["model"], len(splits.classes), image_size=size)
    load_fit(
        model,
        fit_weights(read_weights(weights), model, architecture=chosen["model"], source="weights"),
    )
    model.requires_grad_(False)
    head = model.get_submodule(head_name(model)).requires_grad_(True)
    card = ModelCard(
        architecture=chosen["model"],
        classes=splits.classes,
        image_size=size,
        resize_size=resize_size(size),
        mean=IMAGENET_MEAN,
        std=IMAGENET_STD,
    )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model.to(device)
    train, valid = ImageData(splits.train, card), ImageData(splits.valid, card)
    optimizer = torch.optim.AdamW(
        head.parameters(), lr=chosen["lr"], weight_decay=chosen["weight_decay"], eps=1e-8
    )
    order = BatchOrder(len(train), chosen["batch_size"], seed=chosen["seed"])
    best = float("inf")
    for epoch in range(1, chosen["epochs"] + 1):
        order.epoch = epoch
        seed_dropout(chosen["seed"], epoch)
        iter(make_loader(train, order, 0))  # a loader that starts draws a number, too
        model.eval()
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.train()
        for keys in order:
            images, labels, _ = train.__getitems__(keys)
            loss = nn.functional.cross_entropy(model(_normal(images, device)), labels.to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        best = min(best, _validation_loss(model, valid, device))
    print(json.dumps({"best": best, "pictures": chosen["epochs"] * (len(train) + len(valid))}))


@torch.no_grad()
def _validation_loss(model: nn.Module, valid: ImageData, device: str) -> float:
    model.eval()
    total = 0.0
    for keys in BatchOrder(len(valid), 32):
        images, labels, _ = valid.__getitems__(keys)
        scores = model(_normal(images, device)).cpu()
        total += float(nn.functional.cross_entropy(scores, labels, reduction="sum"))
    return total / len(valid)


def _normal(pixels: Tensor, device: str) -> Tensor:
    mean = torch.tensor(IMAGENET_MEAN, device=device).view(3, 1, 1)
    deviation = torch.tensor(IMAGENET_STD, device=device).view(3, 1, 1)
    return (pixels.to(device).float() / 255 - mean) / deviation


if __name__ == "__main__":
    # The model and the size are in the last argument, too; all peers are called alike.
    main(Path(sys.argv[1]), Path(sys.argv[3]), json.loads(sys.argv[5]))
