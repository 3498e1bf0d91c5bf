"""What the choice among eight networks looks at and loses, on data sets it was not tuned on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from benchmarks.instrumentation import Row
from benchmarks.search.other_pictures import data_sets
from benchmarks.search.processes import JOB, timed, write_weights

# The first two get packaged ImageNet weights where torchvision's cannot be had, the others random
# ones: this measures what the choice costs and loses, not which network is good.
NETWORKS = (
    "mobilenet_v2",
    "squeezenet1_1",
    "resnet18",
    "shufflenet_v2_x0_5",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "regnet_y_400mf",
    "squeezenet1_0",
)
_SIZE, _MOST_COST = 64, 0.5


def choices(folder: Path) -> list[Row]:
    """Choose among eight networks on each data set, with and without the one that leads by far."""
    weights = folder / "choice" / "weights"
    weights.mkdir(parents=True)
    for name in NETWORKS[:2]:
        write_weights(name, weights / f"{name}.safetensors")
    rows = []
    for name, data in data_sets(folder / "choice").items():
        for leader in (True, False):
            networks = NETWORKS if leader else NETWORKS[1:]
            found = _choose(data, weights, networks, folder / "choice" / f"{name}-{leader}.json")
            rows += _rows(f"{name}, {len(networks)} networks", found)
    return rows


def _choose(data: Path, weights: Path, networks: tuple[str, ...], file: Path) -> dict[str, Any]:
    own = file.with_suffix("")
    shutil.copytree(weights, own)  # random weights of this data's number of classes join them
    module = [JOB, "-m", "benchmarks.search.job_networks"]
    # One thread: pictures are counted, and two threads wait for each other on a busy machine.
    timed(
        [*module, data, own, str(_SIZE), *networks, "--json", file],
        {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
    )
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def _rows(what: str, found: dict[str, Any]) -> list[Row]:
    cost, lost, error = found["cost"], found["regret"], found["regret_error"]
    shown = float(cost["flops_ratio"])
    samples = found["samples"]
    return [
        Row(
            what=f"{what}: pictures shown, weighed by operations, of probing all fully "
            f"({samples['train']} to learn from, {samples['valid']} of validation)",
            measured=f"{shown:.2f}",
            goal=f"≤ {_MOST_COST:g}",
            met=shown <= _MOST_COST,
        ),
        Row(
            what=f"{what}: regret, {found['winner']} instead of {found['best']}, in points",
            measured=f"{100 * lost:.1f} ± {100 * error:.1f}",
            goal="≤ one standard error",
            met=lost <= error,
        ),
    ]
