"""What the servers serve and are sent: a trained network with its code, and real pictures."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.search.processes import ROOT, JobFolder, write_weights
from benchmarks.serving.client import request
from benchmarks.serving.servers import InProcess, Kind
from sm_entrypoints.contract import WEIGHTS_FILE

DATA = ROOT / "samples/clipart"
# Batches of other sizes round otherwise.
_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A model's extracted archive, the pictures, and what the model says of each."""

    scratch: Path
    model: Path
    pictures: Path
    bodies: tuple[bytes, ...]
    answers: tuple[dict[str, float | str], ...]

    def requests(self, kind: Kind) -> list[bytes]:
        """Return the requests to a server, one for each picture."""
        return [request(kind.path, body, as_json=kind.takes_json) for body in self.bodies]

    def right(self) -> Callable[[int, bytes], bool]:
        """Return what tells a right answer of ours: best label and its probability."""

        def is_right(index: int, answer: bytes) -> bool:
            best, expected = json.loads(answer)["predictions"][0], self.answers[index]
            near = abs(best["probability"] - float(expected["probability"])) < _TOLERANCE
            return near and best["label"] == expected["label"]

        return is_right


def prepared(scratch: Path, network: str, image_size: int) -> World:
    """Train a head on the sample data, with packaged weights of ImageNet, as a job does."""
    weights = scratch / "weights" / WEIGHTS_FILE
    weights.parent.mkdir(parents=True)
    write_weights(network, weights)
    job = JobFolder(folder=scratch / "job", data=DATA, weights=weights)
    chosen = {"model": network, "image_size": image_size, "epochs": 4, "seed": 0}
    job.run("train", {**chosen, "trainable": "head", "weights": "channel"})
    return world_of(scratch, job.folder / "model")


def world_of(scratch: Path, model: Path) -> World:
    """Return the world of a model: its own answers are the right ones."""
    files = sorted((DATA / "test").rglob("*.jpg"))
    pictures = scratch / "pictures.json"
    pictures.write_text(json.dumps([str(file) for file in files]), encoding="utf-8")
    with InProcess(model, pictures) as handlers:
        answers = [json.loads(answer)["predictions"][0] for answer in handlers.answers()]
    return World(
        scratch=scratch,
        model=model,
        pictures=pictures,
        bodies=tuple(file.read_bytes() for file in files),
        answers=tuple(answers),
    )
