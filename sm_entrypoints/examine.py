"""Examine the pictures of a data set with the features of a network that is not trained on them.

    python sm_entrypoints/examine.py MANIFEST --output FOLDER [--features FOLDER] [--weights FOLDER]

``MANIFEST`` is a JSON file: ``model``, ``root`` (a folder), ``classes``, and ``splits``: of train,
valid and test a list of pairs, a file (below the root, or absolute) and the number of its class.
Writes ``pictures.json`` and the pictures that it names. Progress goes to stderr, line by line; its
last line is the error, if there is one (exit code 1), or what was found.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path

if __name__ == "__main__":  # as a script only: sys.path starts with this file's own folder
    gc.disable()  # until all is imported: nothing of it is garbage
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from dataclasses import replace

import torch

from sm_entrypoints.contract import SPLITS, WEIGHTS_CHANNEL
from sm_entrypoints.contract.arguments import parse_arguments
from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.contract.sentences import clause
from sm_entrypoints.examination.findings import Examined, write_picture_findings
from sm_entrypoints.examination.mistakes import Network
from sm_entrypoints.features.features import FeatureFolders, features_of
from sm_entrypoints.images.channels import Split, Splits
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.training.preparation import build


class ManifestError(JobError):
    """Raised when the manifest is not one; says what is missing."""


def examine(
    manifest: Path, output: Path, *, features: Path | None = None, weights: Path | None = None
) -> str:
    """Write the findings on the data set of ``manifest`` into ``output``; return a sentence on it.

    Args:
        features: folder in which features are kept, and looked for.
        weights: folder of the weights channel; without it the network is random.

    Raises:
        JobError: the manifest, the model, the weights or a picture is bad.
        OSError: a file cannot be read or written.
    """
    model, splits = _read(manifest)
    arguments = parse_arguments(["--model", model, "--trainable", "head"])
    channels = {} if weights is None else {WEIGHTS_CHANNEL: weights}
    # What it prints is for the log of a job.
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        built = build(arguments, Environment(channels=channels), splits)
    parts = [splits.train, splits.valid, *([splits.test] if splits.test else [])]
    kept = FeatureFolders(write=features, tell=_say)
    found = features_of(parts, built, arguments, folders=kept)
    _say(str(found.use))
    network = Network(
        model=built.model.float(),
        card=built.card,
        compute=replace(built.compute, dtype=torch.float32),
    )
    examined = Examined(splits=parts, features=found.by_split, network=network)
    return write_picture_findings(output, examined)


def _read(manifest: Path) -> tuple[str, Splits]:
    try:
        document = json.loads(manifest.read_text(encoding="utf-8"))
        root, classes = Path(document["root"]), tuple(document["classes"])
        files = {name: document["splits"].get(name, ()) for name in SPLITS}
        parts = {
            name: Split.of(name, root, [(str(path), int(label)) for path, label in pairs])
            for name, pairs in files.items()
        }
        model = str(document["model"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ManifestError(f"{manifest} is not a list of pictures: {clause(error)}") from None
    splits = Splits(
        classes=classes,
        train=parts["train"],
        valid=parts["valid"],
        test=parts["test"] if len(parts["test"]) else None,
    )
    return model, splits


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 1 when nothing was found out."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--features", type=Path)
    parser.add_argument("--weights", type=Path)
    options = parser.parse_args(argv)
    try:
        said = examine(
            options.manifest, options.output, features=options.features, weights=options.weights
        )
    except (JobError, OSError) as error:
        _say(str(error))
        return 1
    _say(said)
    return 0


if __name__ == "__main__":
    gc.freeze()  # what was imported stays to the end: to take it apart there takes a second
    gc.enable()
    sys.exit(main())
