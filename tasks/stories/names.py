"""What runs of flows are called when nobody names them: what they do, to what."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import PurePath

from coolname.data import config

from sm_entrypoints.contract.sentences import counted
from tasks.parameters.run import (
    DataParameters,
    ModelParameters,
    ResourceParameters,
    TuningParameters,
)
from tasks.parameters.strategy import choose_search
from tasks.parameters.upkeep import CleanUpParameters
from tasks.runs.names import SEPARATOR

# As the UI proposes: "Incredible-Vicuña", "Brave-Vine Snake".
_PROPOSED = re.compile(r"[A-Z][a-z]+-[A-Z][\w' ]*")


def is_random(name: str) -> bool:
    """Say whether a name is one that Prefect makes up, and not one that somebody gave."""
    words = name.split("-")
    return len(words) == 2 and (_made_up() >= set(words) or bool(_PROPOSED.fullmatch(name)))


@cache
def _made_up() -> frozenset[str]:
    lists = (each.get("words", ()) for each in config.values() if isinstance(each, dict))
    return frozenset(word for words in lists for word in words if isinstance(word, str))


def data_name(data: DataParameters) -> str:
    """Return what people call a data set: its name, or its folder's."""
    return data.name or PurePath(data.shown_path.rstrip("/")).name or "data"


def model_name(model: ModelParameters) -> str:
    """Return the network, or how many there are to choose among."""
    several = len(model.networks)
    return f"best of {several} networks" if several else model.architecture


def release_name(
    data: DataParameters,
    model: ModelParameters,
    tuning: TuningParameters,
    resources: ResourceParameters,
) -> str:
    """Return such as ``clipart · mobilenet_v2 · 64 trials``."""
    settled = choose_search(model, tuning, resources).settle(tuning)
    trials = counted(settled.trials(), "trial")
    return SEPARATOR.join((data_name(data), model_name(model), trials))


def training_name(data: DataParameters, model: ModelParameters, epochs: int | None) -> str:
    """Return such as ``clipart · mobilenet_v2 · 5 epochs``."""
    length = "one training" if epochs is None else counted(epochs, "epoch")
    return SEPARATOR.join((data_name(data), model_name(model), length))


def clean_up_name(request: CleanUpParameters) -> str:
    """Return such as ``remove expired endpoints``."""
    which = "all endpoints" if request.all else "expired endpoints"
    named = f"endpoint {request.endpoint}" if request.endpoint else which
    return f"{'see what would be removed: ' if request.dry_run else 'remove '}{named}"


def file_name(path: str) -> str:
    """Return the last part of a path, for a name."""
    return unicodedata.normalize("NFC", PurePath(path.rstrip("/")).name) or path
