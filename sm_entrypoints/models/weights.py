"""Pretrained weights: which tensors fit a model, and what is wrong with the others.

A head may be missing, of another size (other classes) or another network (``fc`` replaced by a
``Sequential``): then it is left out, and reported. Every other difference is an error that names
tensors, because weights that only half fit silently train to a bad model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from sm_entrypoints.contract import IMAGENET_MEAN, IMAGENET_STD
from sm_entrypoints.contract.errors import JobError
from sm_entrypoints.contract.sentences import counted
from sm_entrypoints.models.model import head_name, load_tensors

# The auxiliary classifiers that build_model leaves out.
_AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")
_SHOWN = 4

Triple = tuple[float, float, float]


class WeightsError(JobError):
    """Raised when weights cannot be read or are not of this architecture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The tensors that fit, whether the head is among them, and sentences about the rest.

    ``fresh`` are the layers before the head, in the same part of the network, that the weights do
    not have: a replaced classifier of several layers.
    """

    tensors: Mapping[str, Tensor]
    head: bool
    notes: tuple[str, ...]
    fresh: tuple[str, ...] = ()


def read_weights(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file.

    Raises:
        WeightsError: missing or not safetensors.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"weights {path.name} cannot be read as safetensors: {error}") from None


def sha256_of(path: Path) -> str:
    """Return the digest of a file: 64 hexadecimal characters."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_normalisation(path: Path) -> tuple[Triple, Triple]:
    """Return the mean and standard deviation that weights were trained with, per channel.

    ``pretrained.py`` writes them into the file's header when they are known; ImageNet's otherwise.
    """
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
    return _triple(metadata.get("mean"), IMAGENET_MEAN), _triple(metadata.get("std"), IMAGENET_STD)


def _triple(text: str | None, default: Triple) -> Triple:
    try:
        red, green, blue = json.loads(text or "null")
        return float(red), float(green), float(blue)
    except (ValueError, TypeError):
        return default


def fit_weights(
    tensors: Mapping[str, Tensor], model: nn.Module, *, architecture: str, source: str
) -> Fit:
    """Compare ``tensors`` with ``model``; ``source`` names them in messages.

    Raises:
        WeightsError: tensors besides the head are missing, unknown or of a different shape, or a
            value is not finite.
    """
    wanted, head = model.state_dict(), head_name(model)
    region = head.partition(".")[0]
    ours = {name: value for name, value in tensors.items() if not name.startswith(_AUXILIARY)}
    body = {name: value for name, value in wanted.items() if not _in(name, region)}
    problems = _differences({n: v for n, v in ours.items() if not _in(n, region)}, body)
    if problems:
        raise WeightsError(
            f"{source} does not belong to model {architecture!r}: {'; '.join(problems)}"
        )
    _finite(ours, source)
    kept, fresh = _classifier(
        {name: value for name, value in ours.items() if _in(name, region)},
        {name: value for name, value in wanted.items() if _in(name, region)},
        head,
    )
    fits = any(_in(name, head) for name in kept)
    notes = [] if fits else [_head_note(head, ours, wanted)]
    if fresh:
        notes.append(f"another classifier: {', '.join(fresh)} start with random weights as well")
    left = [name for name in ours if name not in body and name not in kept]
    if left:
        notes.append(f"left out: {_listed(left)}")
    if len(ours) < len(tensors):
        notes.append("auxiliary classifiers are left out")
    loaded = {name: value for name, value in ours.items() if name in body or name in kept}
    return Fit(tensors=loaded, head=fits, notes=tuple(notes), fresh=fresh)


def _classifier(
    ours: Mapping[str, Tensor], wanted: Mapping[str, Tensor], head: str
) -> tuple[set[str], tuple[str, ...]]:
    """Return which tensors of the part that holds the head fit, and the layers that have none.

    The layers before the head fit all together or not at all, and the head does only after them.
    """
    before = {name: value for name, value in wanted.items() if not _in(name, head)}
    shared = {name for name in ours if name in before}
    if _differences({name: ours[name] for name in shared}, before):
        return set(), tuple(sorted({name.rpartition(".")[0] for name in before}))
    rest = {name: value for name, value in ours.items() if name not in shared}
    top = {name: value for name, value in wanted.items() if _in(name, head)}
    return shared | (set() if _differences(rest, top) else set(top)), ()


def _in(name: str, layer: str) -> bool:
    return name.startswith(f"{layer}.")


def _differences(ours: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> list[str]:
    """Return what keeps tensors from being those that are wanted, in words."""
    other = [name for name in wanted if name in ours and ours[name].shape != wanted[name].shape]
    return [
        *_named("missing", [name for name in wanted if not _optional(name) and name not in ours]),
        *_named("unknown", [name for name in ours if name not in wanted]),
        *_named(
            "of a different shape",
            [f"{name} {_shape(ours[name])} instead of {_shape(wanted[name])}" for name in other],
        ),
    ]


def _optional(name: str) -> bool:
    """Whether PyTorch itself does without: weights saved before 0.4.1 have no such counter."""
    return name.endswith("num_batches_tracked")


def _named(what: str, names: list[str]) -> list[str]:
    return (
        [f"{counted(len(names), 'tensor is', 'tensors are')} {what}: {_listed(names)}"]
        if names
        else []
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"


def _finite(tensors: Mapping[str, Tensor], source: str) -> None:
    bad = [n for n, v in tensors.items() if v.is_floating_point() and not v.isfinite().all()]
    if bad:
        raise WeightsError(f"{source} has values that are not finite: {', '.join(bad[:_SHOWN])}")


def _head_note(head: str, ours: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    shared = [name for name in sorted(ours) if _in(name, head) and name in wanted]
    if not shared:
        return f"no head ({head}) in the weights: it starts with random weights"
    shown = ", ".join(f"{n} {_shape(ours[n])} for {_shape(wanted[n])}" for n in shared)
    return f"the head of the weights does not fit ({shown}): it starts with random weights"


def load_fit(model: nn.Module, fit: Fit) -> None:
    """Copy the tensors that fit into ``model``."""
    with torch.no_grad():
        load_tensors(model, fit.tensors, strict=False)
