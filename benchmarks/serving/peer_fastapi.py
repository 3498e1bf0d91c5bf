"""Plain FastAPI and torch, as tutorials write it; FastAPI runs the handler in its pool of threads.

python peer_fastapi.py MODEL_FOLDER PORT
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import _network
import torch
import uvicorn
from fastapi import Depends, FastAPI, Request
from PIL import Image

NETWORK, TRANSFORM, CLASSES = _network.load(Path(sys.argv[1]))
app = FastAPI()


async def body(request: Request) -> bytes:
    """Return the picture that was sent."""
    return await request.body()


@app.post("/predict")
def predict(picture: bytes = Depends(body)) -> dict[str, float | str]:
    """Return the best label."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    with torch.inference_mode():
        scores = NETWORK(TRANSFORM(image).unsqueeze(0))[0].softmax(0)
    best = int(scores.argmax())
    return {"label": CLASSES[best], "probability": float(scores[best])}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
