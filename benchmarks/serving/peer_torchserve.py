"""A handler for TorchServe with the same network; TorchServe imports it by path."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Labels:
    """Labels pictures, as many as TorchServe hands over."""

    def initialize(self, context: Any) -> None:
        """Load the network; its module lies beside this one in the archive."""
        folder = Path(context.system_properties["model_dir"])
        sys.path.insert(0, str(folder))
        import _network

        self.network, self.transform, self.classes = _network.load(folder)

    def handle(self, rows: list[dict[str, Any]], context: Any) -> list[dict[str, float | str]]:
        """Return the best label of each picture."""
        import torch
        from PIL import Image

        pictures = [Image.open(io.BytesIO(row.get("body") or row["data"])) for row in rows]
        batch = torch.stack([self.transform(picture.convert("RGB")) for picture in pictures])
        with torch.inference_mode():
            scores = self.network(batch).softmax(1)
        best = scores.argmax(1).tolist()
        return [
            {"label": self.classes[label], "probability": float(row[label])}
            for label, row in zip(best, scores, strict=True)
        ]


_SERVICE = Labels()


def handle(data: Any, context: Any) -> Any:
    """Do what TorchServe asks for: the first call, without data, loads the network."""
    if not hasattr(_SERVICE, "network"):
        _SERVICE.initialize(context)
    return None if data is None else _SERVICE.handle(data, context)
