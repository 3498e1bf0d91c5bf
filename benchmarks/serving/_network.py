"""The network of the peers: torchvision's own classes and transforms, as people use them.

Imported by programs that run by path, with the packages of ``.venv-bench``; torch comes from the
job environment, whose packages are at the end of the path.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

sys.path.append(os.environ["JOB_PACKAGES"])

from safetensors.torch import load_file
from torch import nn
from torchvision import models, transforms


def load(folder: Path) -> tuple[nn.Module, Any, list[str]]:
    """Return network, transform and classes of a model's folder."""
    card = json.loads((folder / "model.json").read_text("utf-8"))
    network = models.get_model(card["architecture"], num_classes=len(card["classes"]))
    network.load_state_dict(load_file(folder / "model.safetensors"))
    transform = transforms.Compose(
        [
            transforms.Resize(card["resize_size"]),
            transforms.CenterCrop(card["image_size"]),
            transforms.ToTensor(),
            transforms.Normalize(card["mean"], card["std"]),
        ]
    )
    return network.eval(), transform, card["classes"]
