"""Write a frozen backbone's features of every image to an .npz. Runs in the job environment.

    python extract_features.py DATA MODEL WEIGHTS.safetensors IMAGE_SIZE OUT.npz

Plain torchvision, none of our own code: this is what Whippet is compared with.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torchvision import models, transforms
from torchvision.datasets import ImageFolder

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _backbone(architecture: str, weights: Path) -> torch.nn.Module:
    model = models.get_model(architecture, weights=None)
    missing, unexpected = model.load_state_dict(load_file(weights), strict=False)
    if unexpected or any(not name.startswith(("classifier", "fc")) for name in missing):
        raise SystemExit(f"{weights} does not fit {architecture}: {missing} {unexpected}")
    head = "fc" if hasattr(model, "fc") else "classifier"
    setattr(model, head, torch.nn.Identity())
    return model.eval()


def main(data: Path, architecture: str, weights: Path, image_size: int, out: Path) -> None:
    """Save train_x, train_y, valid_x, … with one row an image."""
    model = _backbone(architecture, weights)
    transform = transforms.Compose(
        [
            transforms.Resize(round(image_size * 256 / 224)),
            transforms.CenterCrop(image_size),
            transforms.ToTensor(),
            transforms.Normalize(_MEAN, _STD),
        ]
    )
    arrays: dict[str, np.ndarray] = {}
    for split in ("train", "valid", "test"):
        loader = torch.utils.data.DataLoader(ImageFolder(data / split, transform), batch_size=64)
        with torch.inference_mode():
            rows = [(model(images).numpy(), labels.numpy()) for images, labels in loader]
        arrays[f"{split}_x"] = np.concatenate([features for features, _ in rows])
        arrays[f"{split}_y"] = np.concatenate([labels for _, labels in rows])
    np.savez(out, **arrays)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))
