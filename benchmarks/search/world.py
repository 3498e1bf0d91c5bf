"""The pictures, the network and the jobs of the benchmarks of a packed search."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.search.pictures import write_pictures
from benchmarks.search.processes import HERE, JOB, JobFolder, Timed, timed, write_weights
from sm_entrypoints.contract import WEIGHTS_FILE
from sm_entrypoints.contract.search import SearchPlan

EPOCHS, TRIALS, MORE = 5, 20, 64
# The network that they fine-tune.
WRITE_UPS = "resnet18"
_RANGES: dict[str, Any] = {
    "lr": {"type": "continuous", "min": 1e-4, "max": 1e-2, "scaling": "Logarithmic"},
    "batch_size": {"type": "categorical", "values": [16, 32, 64]},
    "weight_decay": {"type": "continuous", "min": 1e-5, "max": 1e-1, "scaling": "Logarithmic"},
}
RANDOM = "random"
_RANDOM_WEIGHTS = """
import sys
from safetensors.torch import save_file
from torchvision.models import get_model
save_file(get_model(sys.argv[1], weights=None).state_dict(), sys.argv[2])
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """The data, the network, and how often each pair is repeated."""

    folder: Path
    counts: dict[str, int]
    model: str
    size: int
    pairs: int

    @property
    def repeats(self) -> int:
        """How often what takes longer is run: in half of the pairs, at most three times."""
        return min(3, (self.pairs + 1) // 2)

    @property
    def data(self) -> Path:
        """The folder of the splits."""
        return self.folder / "data"

    @property
    def weights(self) -> Path:
        """The file of the pretrained weights."""
        return self.folder / "weights" / WEIGHTS_FILE

    def with_random_weights(self, model: str) -> World:
        """Return another network's world of the same pictures; random weights take as long."""
        other = replace(self, folder=self.folder / model, model=model)
        other.weights.parent.mkdir(parents=True)
        other.data.symlink_to(self.data, target_is_directory=True)
        write_random_weights(model, other.weights)
        return other

    def job(self, name: str) -> JobFolder:
        """Return the folder of a job of that name, new or as it was left."""
        return JobFolder(folder=self.folder / "jobs" / name, data=self.data, weights=self.weights)

    def fixed(self, **more: object) -> dict[str, object]:
        """Return the hyperparameters that all trials have."""
        chosen = {"model": self.model, "image_size": self.size, "epochs": EPOCHS, "seed": 0}
        return {**chosen, "trainable": "head", "weights": "channel", **more}

    def search(self, name: str, trials: int, *, ranges: object = None, **more: object) -> Timed:
        """Run a packed search as a job: warm if one of that name ran before."""
        plan = {"trials": trials, "ranges": ranges or _RANGES, "seed": 0}
        text = SearchPlan.from_document(plan).to_json()
        return self.job(name).run("search", {**self.fixed(**more), "search": text})

    def peer(self, program: str, *arguments: object) -> Timed:
        """Run one of the peers."""
        script = HERE / f"peer_{program}.py"
        common = [self.data, self.model, self.weights, self.size]
        return timed([str(each) for each in (JOB, script, *common, *arguments)])


def prepared(folder: Path, arguments: argparse.Namespace) -> World:
    """Write the pictures and get the weights."""
    counts = write_pictures(
        folder / "data",
        count=arguments.pictures,
        classes=arguments.classes,
        side=arguments.side,
    )
    world = World(
        folder=folder,
        counts=counts,
        model=arguments.model,
        size=arguments.image_size,
        pairs=arguments.pairs,
    )
    world.weights.parent.mkdir(parents=True)
    if arguments.weights == RANDOM:
        write_random_weights(world.model, world.weights)
    else:
        write_weights(world.model, world.weights, arguments.weights)
    return world


def write_random_weights(model: str, file: Path) -> None:
    """Write weights that nothing was learned with; ``file`` is in a folder that is there."""
    drawn = file.with_name("random.safetensors")
    timed([str(JOB), "-c", _RANDOM_WEIGHTS, model, str(drawn)])
    write_weights(model, file, str(drawn))
    drawn.unlink()


def options(description: str | None) -> argparse.ArgumentParser:
    """Return the parser of a program's command line; the first line describes it."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n", 1)[0])
    parser.add_argument("--model", default="mobilenet_v2")
    parser.add_argument(
        "--weights",
        default="imagenet",
        help="a file of them, on a machine without a network; or random: what takes as long",
    )
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--pictures", type=int, default=1_600)
    parser.add_argument("--classes", type=int, default=100)
    parser.add_argument("--side", type=int, default=400, help="side of the JPEG files, in pixels")
    parser.add_argument("--pairs", type=int, default=5)
    return parser
