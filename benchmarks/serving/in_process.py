"""The handlers of a model in one process, without a server: what servers are compared with.

    python in_process.py MODEL_FOLDER PICTURES.json [plain|all]

Reads how many pictures to label from a line, labels them, and prints the seconds of each call and
of the processors as a line of JSON, again and again. ``answers`` on a line prints all answers.
``plain`` is the same network as torch runs it by itself: eager, float32, channels first. ``all``
are the handlers with all threads for each picture, whatever their probe found.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

FOLDER, PICTURES = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(FOLDER / "code"))

import inference  # noqa: E402
import torch  # noqa: E402


def main() -> None:
    """Label pictures as told, until the input ends."""
    bodies = [Path(path).read_bytes() for path in json.loads(PICTURES.read_text("utf-8"))]
    label = plain() if "plain" in sys.argv[3:] else handlers()
    turn = cycle(bodies)
    for line in sys.stdin:
        if line.strip() == "answers":
            print(json.dumps([label(body) for body in bodies]), flush=True)
            continue
        times, used = [], time.process_time()
        for body in islice(turn, int(line)):
            begun = time.perf_counter()
            label(body)
            times.append(time.perf_counter() - begun)
        cpu = time.process_time() - used
        print(json.dumps({"seconds": times, "cpu": cpu / len(times)}), flush=True)


def handlers():
    """Return the way of the model's own handlers."""
    model = inference.model_fn(str(FOLDER))
    if "all" in sys.argv[3:]:
        model = replace(model, threads=torch.get_num_threads())

    def label(body: bytes) -> str:
        data = inference.input_fn(body, "image/jpeg")
        return inference.output_fn(inference.predict_fn(data, model))[0]

    return label


def plain():
    """Return the same pixels through the network as it was built."""
    from sm_entrypoints.images.preparation import evaluation_transform
    from sm_entrypoints.models.model import load_model

    network, card = load_model(FOLDER)
    prepare = evaluation_transform(card)

    def label(body: bytes) -> str:
        batch = prepare(inference.input_fn(body, "image/jpeg")).unsqueeze(0)
        with torch.inference_mode():
            scores = network(batch)[0].softmax(dim=0)
        best = int(scores.argmax())
        return json.dumps({"label": card.classes[best], "probability": float(scores[best])})

    return label


if __name__ == "__main__":
    main()
