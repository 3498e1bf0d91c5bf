"""A choice among networks as a search delivers it, with made-up numbers."""

from __future__ import annotations

import json
from pathlib import Path

from sm_entrypoints.contract.networks import (
    NETWORKS_FILE,
    NETWORKS_VERSION,
    RULE,
    NetworkRow,
    NetworksDocument,
)


def network_row(name: str, accuracy: float | None, share: float, dropped: str = "") -> NetworkRow:
    """Return what was found out about a network; None: it could not be used."""
    used, reached = accuracy is not None, accuracy or 0.0
    return {
        "network": name,
        "architecture": name.partition(":")[0],
        "source": "torchvision",
        "licence": "",
        "parameters": 1_235_496 if used else None,
        "megabytes": 4.9 if used else None,
        "gigaflops": 0.7 if used else None,
        "milliseconds": 10.0 + len(name) if used else None,
        "feature_seconds": 0.01 if used else None,
        "share": share,
        "train_pictures": round(400 * share),
        "valid_pictures": round(100 * share),
        "accuracy": accuracy,
        "accuracy_error": 0.02 if used else None,
        "loss": 0.5 if used else None,
        "loss_error": 0.05 if used else None,
        "behind": 0.93 - reached if used else None,
        "behind_error": 0.015 if used else None,
        "dropped": dropped,
    }


def networks_document() -> NetworksDocument:
    """Return a choice among four, one of which could not be used."""
    return {
        "version": NETWORKS_VERSION,
        "rule": RULE,
        "winner": "mobilenet_v2",
        "heads": 8,
        "networks": [
            network_row("mobilenet_v2", 0.93, 1.0),
            network_row("resnet50:IMAGENET1K_V1", 0.92, 1.0),
            network_row("squeezenet1_1", 0.7, 0.1, "not among the best 2 of 3 after 40 pictures"),
            network_row("vit_b_16", None, 0.0, "it cannot be used: it has <b>no</b> weights"),
        ],
        "cost": {
            "pictures": 1050,
            "all_pictures": 1500,
            "computed": 1050,
            "flops_ratio": 0.41,
            "seconds_ratio": 0.43,
            "seconds": 12.0,
        },
    }


def write_networks(folder: Path) -> Path:
    """Write the choice where a search's output is."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / NETWORKS_FILE
    path.write_text(json.dumps(networks_document()))
    return path
