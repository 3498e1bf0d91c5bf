"""LitServe with the same network, in batches of up to eight, which wait 2 ms at most.

python peer_litserve.py MODEL_FOLDER PORT
"""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path

import _network
import litserve
import torch
from PIL import Image


class Labels(litserve.LitAPI):
    """Labels pictures."""

    def setup(self, device: str) -> None:
        """Load the network."""
        self.network, self.transform, self.classes = _network.load(Path(sys.argv[1]))

    def decode_request(self, request):
        """Return a picture as the network takes it; LitServe hands on JSON and forms only."""
        picture = base64.b64decode(request["image"])
        return self.transform(Image.open(io.BytesIO(picture)).convert("RGB"))

    def batch(self, inputs: list[torch.Tensor]) -> torch.Tensor:
        """Put pictures together."""
        return torch.stack(inputs)

    def predict(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the scores."""
        with torch.inference_mode():
            return self.network(batch).softmax(1)

    def unbatch(self, output: torch.Tensor) -> list[torch.Tensor]:
        """Return the scores of each picture."""
        return list(output)

    def encode_response(self, output: torch.Tensor) -> dict[str, float | str]:
        """Return the best label."""
        best = int(output.argmax())
        return {"label": self.classes[best], "probability": float(output[best])}


if __name__ == "__main__":
    api = Labels(max_batch_size=8, batch_timeout=0.002)
    server = litserve.LitServer(api, accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False)
