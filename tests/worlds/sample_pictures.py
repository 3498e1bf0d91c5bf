"""A plausible ``pictures.json`` with its thumbnails, as a job writes them."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from sm_entrypoints import contract

_SHADES = ("#7788aa", "#aa8877", "#77aa88")


def write_pictures(folder: Path, classes: Sequence[str], **more: Any) -> Path:
    """Write the findings on a data set of these classes into ``folder``; return the file."""
    shots = folder / contract.PICTURES_FOLDER
    shots.mkdir(parents=True, exist_ok=True)
    for number, shade in enumerate(_SHADES):
        content = io.BytesIO()
        Image.new("RGB", (60, 40), shade).save(content, "JPEG")
        (shots / f"{number}.jpg").write_bytes(content.getvalue())
    path = folder / contract.PICTURES_FILE
    path.write_text(json.dumps({**document(classes), **more}), encoding="utf-8")
    return path


def document(classes: Sequence[str]) -> dict[str, Any]:
    """Return the findings: 23 wrong labels, one pair of look-alikes, a curve, a hard class."""
    name = contract.PICTURES_FOLDER
    classes = [classes[number % len(classes)] for number in range(7)]
    wrong = [
        {
            **_pictured("train", f"{classes[3]}/{number}.jpg", classes[3], f"{name}/0.jpg"),
            "suggested": classes[4],
            "probability": 0.97 - number / 100,
            "label_probability": 0.01,
        }
        for number in range(14)
    ]
    pair = {
        "first": _pictured("train", f"{classes[0]}/1.jpg", classes[0], f"{name}/1.jpg"),
        "second": _pictured("test", f"{classes[5]}/2.jpg", classes[5], ""),
        "cosine": 0.951,
    }
    look = {
        **_pictured("test", f"{classes[3]}/9.jpg", classes[3], f"{name}/2.jpg"),
        "predicted": classes[6],
        "probability": 0.88,
        "picture": f"{name}/1.jpg",
    }
    sizes = (400, 800, 1600, 3200)
    points = [
        {"pictures": size, "accuracy": 0.6 + 0.08 * place, "error": 0.01}
        for place, size in enumerate(sizes)
    ]
    hard = {"label": classes[3], "pictures": 60, "recall": 0.55, "mistaken_for": classes[4]}
    return {
        "version": 1,
        "network": "mobilenet_v2",
        "pictures": {"train": 3000, "valid": 400, "test": 400},
        "accuracy": 0.81,
        "knows": True,
        "wrong_labels": {"count": 23, "items": wrong},
        "look_alikes": {"count": 1, "copies": 2, "bar": 0.9, "items": [pair]},
        "learning_curve": {"points": points, "gain": 0.021, "spread": 0.008, "why_not": ""},
        "hard_classes": [{**hard, "times": 11}],
        "where": {"items": [look], "why_not": ""},
        "notes": [],
        "left_out": [],
        "seconds": 2.5,
    }


def _pictured(split: str, path: str, label: str, file: str) -> dict[str, str]:
    return {"split": split, "path": path, "label": label, "file": file}
