"""Packed heads beside the same heads one by one, and the features' pass beside eager float32.

    python -m benchmarks.search.job_heads DATA MODEL WEIGHTS_FOLDER IMAGE_SIZE --json FILE

Runs in the job environment. One by one means ``train.py``'s own loop on the same features, in the
same process: what is compared is the training of heads alone. The pass is compared on a batch of
decoded pictures, and its classes by a ridge regression that is fitted to the training split's
float32 features and asked about the other splits.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sm_entrypoints.contract.arguments import TrainingArguments
from sm_entrypoints.features.backbone import Backbone, Built
from sm_entrypoints.features.compute import every_place
from sm_entrypoints.features.probe import laid_out, named, probe, ways
from sm_entrypoints.images.batches import ImageData, TensorData
from sm_entrypoints.images.channels import Split, Splits, read_splits
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.job.processes import StopRequest
from sm_entrypoints.searching.first_heads import FirstHeads
from sm_entrypoints.searching.generation import Generation
from sm_entrypoints.searching.shared_features import SharedFeatures
from sm_entrypoints.searching.trial import Trial
from sm_entrypoints.training.loop import fit
from sm_entrypoints.training.preparation import Prepared, build, prepare

HEADS, EPOCHS, PAIRS, BATCH = 20, 2, 5, 32
# Of so many heads one by one, which all take the same time, some are run.
ALONE = 3
HEAD_GOALS = {4: 8.0, 64: 3.0}
PASS_GOAL, AGREEMENT_GOAL = 1.5, 0.995
_STOP = StopRequest()


def seconds(work: Callable[[], object]) -> float:
    """Return how long some work takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def heads(
    base: dict[str, Any], environment: Environment, splits: Splits, batch_size: int
) -> dict[str, Any]:
    """Train the heads both ways, in turn; return the ratios of one by one to packed."""
    given = {**base, "epochs": EPOCHS, "batch_size": batch_size, "cache_features": "true"}
    prepared = prepare(TrainingArguments(**given), environment, splits, _STOP)
    rates = torch.logspace(-4, -2, HEADS).tolist()
    arguments = [TrainingArguments(**given, lr=rate) for rate in rates]

    def alone() -> None:
        for each in arguments[:ALONE]:
            fit(prepare(each, environment, splits, _STOP, like=prepared).training)

    ratios = []
    for _ in range(PAIRS):
        single = seconds(alone) * HEADS / ALONE
        ratios.append(single / seconds(lambda: _packed(prepared, arguments, environment, splits)))
    return {
        "what": f"{HEADS} heads one by one by packed, batch size {batch_size}",
        "ratios": ratios,
        "goal": HEAD_GOALS[batch_size],
        "at_least": True,
    }


def _packed(
    prepared: Prepared,
    arguments: list[TrainingArguments],
    environment: Environment,
    splits: Splits,
) -> None:
    built = build(arguments[0], environment, splits)
    train, valid = prepared.training.train.data, prepared.training.valid.data
    assert isinstance(train, TensorData)
    assert isinstance(valid, TensorData)
    shared = SharedFeatures.of(built.model, train, valid, prepared.training.compute)
    trials = [Trial(number=n, texts={}, arguments=each) for n, each in enumerate(arguments)]
    first = FirstHeads(built, shared.plan, arguments[0].seed)
    work = Generation(trials, shared=shared, first=first, pruning="off", stopped=lambda: False)
    work.run(lambda _: None)


def forward(base: dict[str, Any], environment: Environment, splits: Splits) -> list[dict[str, Any]]:
    """Run one batch as a probe chose and in eager float32, in turn; compare the classes."""
    arguments = TrainingArguments(**base)
    built = build(arguments, environment, splits)
    places = list(every_place([splits.train, splits.valid]))
    found = probe(built, places, ways(arguments, built.compute), print)
    built = built if found is None else found.built
    print(f"the features are computed in {named(built.compute)}")
    plain = replace(built.compute, dtype=torch.float32, channels_last=False, fused=False)
    pixels = _pixels(splits.train, built, range(min(BATCH, len(splits.train))))
    spent: dict[bool, list[float]] = {True: [], False: []}
    backbones = {True: Backbone(built), False: Backbone(replace(built, compute=plain))}
    for _ in range(6 * PAIRS):
        for chosen, backbone in backbones.items():
            compute = backbone.built.compute
            with laid_out(built.model, compute, back=built.compute):
                backbone.features(pixels)
                spent[chosen].append(seconds(partial(backbone.features, pixels)))
    ratios = [slow / fast for slow, fast in zip(spent[False], spent[True], strict=True)]
    agreement = _agreement(built, plain, splits)
    return [
        {
            "what": "features in eager float32 by those in the numbers of the probe, one batch",
            "ratios": ratios,
            "goal": PASS_GOAL,
            "at_least": True,
        },
        {
            "what": "share of other pictures that get the same class in both",
            "ratios": [agreement],
            "goal": AGREEMENT_GOAL,
            "at_least": True,
        },
    ]


def _agreement(built: Built, plain: Any, splits: Splits) -> float:
    def rows(split: Split, compute: Any) -> Tensor:
        with laid_out(built.model, compute, back=built.compute):
            backbone = Backbone(replace(built, compute=compute))
            parts = [
                backbone.features(_pixels(split, built, range(at, min(at + BATCH, len(split)))))
                for at in range(0, len(split), BATCH)
            ]
        return torch.cat(parts).float().flatten(1)

    inputs = rows(splits.train, plain).double()
    truth = torch.nn.functional.one_hot(torch.tensor(splits.train.labels)).double()
    strength = 1e-3 * float((inputs**2).sum(1).mean()) * torch.eye(len(inputs)).double()
    weights = torch.linalg.solve(inputs @ inputs.T + strength, truth)
    equal = []
    for split in (splits.valid, splits.test):
        if split is not None:
            first, second = (
                (rows(split, compute).double() @ inputs.T @ weights).argmax(1)
                for compute in (plain, built.compute)
            )
            equal.append((first == second).double())
    return float(torch.cat(equal).mean())


def _pixels(split: Split, built: Built, indices: range) -> Tensor:
    return ImageData(split, built.card).__getitems__([(0, index) for index in indices])[0]


def main() -> None:
    """Write the ratios as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("model")
    parser.add_argument("weights", type=Path)
    parser.add_argument("image_size", type=int)
    parser.add_argument("--json", type=Path, required=True)
    given = parser.parse_args()
    channels = {name: given.data / name for name in ("train", "valid", "test")}
    scratch = given.json.parent / "heads"
    environment = Environment(
        channels={**channels, "weights": given.weights},
        output_data_dir=scratch / "output",
        checkpoint_dir=scratch / "none",
        config_dir=scratch / "config",
    )
    splits = read_splits(environment.channels)
    base = {"model": given.model, "image_size": given.image_size, "trainable": "head"}
    found = [heads(base, environment, splits, batch_size) for batch_size in HEAD_GOALS]
    found += forward(base, environment, splits)
    given.json.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
