"""The choice among networks beside probing each of them fully: its cost, and its regret.

    python -m benchmarks.search.job_networks DATA WEIGHTS_FOLDER IMAGE_SIZE NETWORK… --json FILE

Runs in the job environment. A network without a file in the folder gets random weights, whose batch
normalisation is set by pictures of the training split. Regret is the validation accuracy that the
choice lost against the best network, each probed on all pictures with the same heads.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from sm_entrypoints.choosing.choice import Choice
from sm_entrypoints.choosing.measures import measure
from sm_entrypoints.choosing.probe import Prober
from sm_entrypoints.choosing.progress import ChoiceProgress
from sm_entrypoints.choosing.standing import behind
from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.contract.networks import NETWORKS_FILE, Network
from sm_entrypoints.contract.search import SearchPlan
from sm_entrypoints.features.backbone import Built
from sm_entrypoints.features.features import FeatureFolders
from sm_entrypoints.images.batches import ImageData
from sm_entrypoints.images.channels import Splits, read_splits
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.models.model import ModelCard, build_model, head_name
from sm_entrypoints.searching.request import SearchRequest
from sm_entrypoints.training.preparation import build

_LR = {"type": "continuous", "min": 1e-3, "max": 1e-1, "scaling": "Logarithmic"}
_CALIBRATED = 64


def main() -> None:
    """Print a line, and write all figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("image_size", type=int)
    parser.add_argument("networks", nargs="+")
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = _compare(options, Path(folder))
    options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({name: found[name] for name in ("winner", "best", "regret", "cost")}))


def _compare(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    channels = {name: options.data / name for name in ("train", "valid")}
    splits = read_splits(channels)
    _complete(options.weights, options.networks, splits, options.image_size)
    environment = Environment(channels={**channels, "weights": options.weights})
    plan = SearchPlan.from_document(
        {"trials": 8, "ranges": {"lr": _LR}, "max_epochs": 6, "networks": options.networks}
    )
    fixed = TrainingArguments(image_size=options.image_size, epochs=6)
    request = SearchRequest(plan=plan, fixed=fixed)
    prober = _prober(request, folder / "choice", splits)

    def built(network: Network) -> Built:
        values = TrainingArguments(
            model=network.architecture, image_size=options.image_size, epochs=6
        )
        return build(values, environment, splits, weights_file=network.weights_file)

    begun = time.perf_counter()
    choice = Choice(prober, splits, build=built, progress=ChoiceProgress(None, print))
    winner = str(choice.run())
    choosing = time.perf_counter() - begun
    choice.write(folder)
    document = json.loads((folder / NETWORKS_FILE).read_text(encoding="utf-8"))
    # In a folder of its own, so that nothing is there already.
    full = _prober(request, folder / "full", splits)
    begun, standings, speeds = time.perf_counter(), {}, {}
    for name in options.networks:
        network = Network.parse(name)
        each = built(network)
        speeds[name] = measure(each).milliseconds
        standings[name], _ = full.probe(each, (splits.train, splits.valid), request)
    probing = time.perf_counter() - begun
    best = max(standings, key=lambda name: standings[name].accuracy)
    lost, error = behind(standings[winner], standings[best])
    return {
        "winner": winner,
        "best": best,
        "regret": lost,
        "regret_error": error,
        "cost": {**document["cost"], "choosing": choosing, "probing_all": probing},
        "seconds_ratio_measured": choosing / probing,
        "full_accuracies": {name: each.accuracy for name, each in standings.items()},
        "milliseconds": speeds,
        "networks": document["networks"],
        "samples": {"train": len(splits.train), "valid": len(splits.valid)},
    }


def _prober(request: SearchRequest, folder: Path, splits: Splits) -> Prober:
    folders = FeatureFolders(write=folder, may_probe=False)
    folder.mkdir()
    return Prober(
        request=request,
        folders=folders,
        stopped=lambda: False,
        train_pictures=len(splits.train),
    )


def _complete(folder: Path, names: Sequence[str], splits: Splits, size: int) -> None:
    """Write random weights of the networks that have none, once."""
    card = ModelCard(architecture="resnet18", classes=splits.classes, image_size=size)
    data = ImageData(splits.train, card)
    step = max(1, len(splits.train) // _CALIBRATED)
    pixels, *_ = data.__getitems__([(0, index) for index in range(0, len(splits.train), step)])
    inputs = (pixels.float() / 255 - 0.45) / 0.226
    for name in names:
        network = Network.parse(name)
        file = folder / network.weights_file
        if not file.exists():
            torch.manual_seed(1)
            model = build_model(network.architecture, len(splits.classes), image_size=size)
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum = None
            with torch.no_grad():
                model.train()(inputs)
            head = f"{head_name(model)}."
            state = {k: v for k, v in model.state_dict().items() if not k.startswith(head)}
            save_file(state, file, metadata={"source": "random"})


if __name__ == "__main__":
    main()
