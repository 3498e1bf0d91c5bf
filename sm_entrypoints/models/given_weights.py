"""What a job's channel ``weights`` holds: prepared weights, or a whole model that was delivered.

A delivered model (``model.tar.gz``) brings its head, if the classes are the same, and its
normalisation: a training may go on from it. Nothing is unpacked to disk.
"""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from sm_entrypoints.contract import (
    MODEL_ARCHIVE,
    MODEL_CARD_FILE,
    MODEL_WEIGHTS_FILE,
    WEIGHTS_CHANNEL,
    WEIGHTS_FILE,
)
from sm_entrypoints.contract.sentences import clause
from sm_entrypoints.contract.strangers.archives import BrokenArchive, bounded
from sm_entrypoints.models.model import ModelCard, ModelError, head_name
from sm_entrypoints.models.weights import (
    Triple,
    WeightsError,
    read_normalisation,
    read_weights,
    sha256_of,
)

# A file in an archive may say that it is of any size.
_MOST_BYTES = {MODEL_CARD_FILE: 16 << 20, MODEL_WEIGHTS_FILE: 8 << 30}


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenWeights:
    """Tensors to start from, with the normalisation of the images that they were trained on."""

    source: str
    sha256: str
    tensors: dict[str, Tensor]
    mean: Triple
    std: Triple


def read_channel(
    folder: Path, model: nn.Module, classes: Sequence[str], *, file: str = WEIGHTS_FILE
) -> GivenWeights:
    """Return what the channel holds for a ``model`` of these classes.

    ``file`` is the name of prepared weights, where the channel has those of several networks.

    Raises:
        WeightsError: it holds no weights, or some that cannot be read.
    """
    for name, read in ((file, _prepared), (MODEL_ARCHIVE, _delivered)):
        path = folder / name
        if path.is_file():
            return read(path, model, classes)
    names = sorted(path.name for path in folder.iterdir())[:3] if folder.is_dir() else []
    raise WeightsError(
        f"channel 'weights' must hold {file} or {MODEL_ARCHIVE}, but it holds {names or 'nothing'}"
    )


def _prepared(path: Path, model: nn.Module, classes: Sequence[str]) -> GivenWeights:
    mean, std = read_normalisation(path)
    return GivenWeights(
        source=f"{WEIGHTS_CHANNEL}/{path.name}",
        sha256=sha256_of(path),
        tensors=read_weights(path),
        mean=mean,
        std=std,
    )


def _delivered(path: Path, model: nn.Module, classes: Sequence[str]) -> GivenWeights:
    source = f"{WEIGHTS_CHANNEL}/{path.name}"
    try:
        files = _members(path)
        card = ModelCard.from_json(files[MODEL_CARD_FILE].decode())
        tensors = load(files[MODEL_WEIGHTS_FILE])
    except KeyError as error:
        raise WeightsError(f"{source} is no delivered model: it has no {error.args[0]}") from None
    except (OSError, BrokenArchive, UnicodeDecodeError, SafetensorError) as error:
        raise WeightsError(f"{source} cannot be read: {clause(error)}") from None
    except ModelError as error:
        raise WeightsError(f"{source}: {error}") from None
    if tuple(card.classes) != tuple(classes):  # an output of another meaning, even if it fits
        top = f"{head_name(model)}."
        tensors = {name: value for name, value in tensors.items() if not name.startswith(top)}
    return GivenWeights(
        source=source, sha256=sha256_of(path), tensors=tensors, mean=card.mean, std=card.std
    )


def _members(path: Path) -> dict[str, bytes]:
    """Return the card and the tensors of an archive; regular files of a sane size only."""
    found: dict[str, bytes] = {}
    with bounded(path, sum(_MOST_BYTES.values())) as archive:
        for member in archive:
            name = posixpath.normpath(member.name)
            most = _MOST_BYTES.get(name)
            if most is None or not member.isreg():
                continue
            if member.size > most:
                raise WeightsError(f"{path.name}: {name} has {member.size:,} bytes, too many")
            file = archive.open(member)
            if file is not None:
                found[name] = file.read()
            if len(found) == len(_MOST_BYTES):
                break
    return found
