"""A choice as a part of a search's job: where it finds weights, features and its progress."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from safetensors import SafetensorError, safe_open

from sm_entrypoints.choosing.choice import Choice
from sm_entrypoints.choosing.probe import Prober
from sm_entrypoints.choosing.progress import ChoiceProgress
from sm_entrypoints.contract import WEIGHTS_CHANNEL
from sm_entrypoints.contract.networks import Network
from sm_entrypoints.contract.search_progress import progress_folder
from sm_entrypoints.features.backbone import Built
from sm_entrypoints.features.features import FeatureFolders
from sm_entrypoints.images.channels import Splits
from sm_entrypoints.job.environment import Environment
from sm_entrypoints.searching.request import SearchRequest
from sm_entrypoints.training.feeds import feature_folders

# Builds the network of a request with the weights of that name in their channel.
BuildRequested = Callable[[SearchRequest, str], Built]


@contextmanager
def kept_features(environment: Environment, *, several: bool) -> Iterator[FeatureFolders]:
    """Yield where a search keeps features: where checkpoints go, which is where they stay.

    A choice among ``several`` networks reads its own features again, so that it needs a place in
    any case; and it needs numbers that do not change between its rounds.
    """
    lasting = environment.checkpoint_dir if environment.checkpoint_dir.is_dir() else None
    if not several:
        yield feature_folders(environment, write=lasting)
        return
    with tempfile.TemporaryDirectory(prefix="features-") as passing:
        folders = feature_folders(environment, write=lasting or Path(passing))
        yield replace(folders, may_probe=False)


def choose(
    request: SearchRequest,
    environment: Environment,
    splits: Splits,
    *,
    build: BuildRequested,
    folders: FeatureFolders,
    stopped: Callable[[], bool],
) -> tuple[SearchRequest, Network]:
    """Choose a network, write ``networks.json``, and return the search of that network.

    Raises:
        JobError: no network can be used, or a picture is bad.
    """
    kept = environment.checkpoint_dir
    own = kept / progress_folder(request.plan, environment.job_name)
    progress = ChoiceProgress(own if kept.is_dir() else None, folders.tell)
    prober = Prober(
        request=request, folders=folders, stopped=stopped, train_pictures=len(splits.train)
    )
    choice = Choice(
        prober,
        splits,
        build=lambda each: build(request.of_model(each.architecture), each.weights_file),
        progress=progress,
    )
    winner = choice.run()
    weights = environment.channels.get(WEIGHTS_CHANNEL)
    for each in choice.candidates:
        if weights is not None:
            each.source = _source(weights / each.network.weights_file) or each.source
    choice.write(environment.output_data_dir)
    return request.of_model(winner.architecture), winner


def _source(file: Path) -> str:
    """Return what the header of prepared weights says of their origin."""
    try:
        with safe_open(file, framework="pt") as opened:
            return str((opened.metadata() or {}).get("source", ""))
    except (OSError, SafetensorError):
        return ""
