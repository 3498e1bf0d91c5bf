"""Names of tensors: find and remove what a wrapper put before torchvision's names.

``module.`` (DataParallel), ``_orig_mod.`` (torch.compile), ``model.`` or ``backbone.`` of a user's
own class, and the numbers of ``nn.Sequential(*list(model.children())[:-1])``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

_COMPILED = "_orig_mod."
# Wrappers in wrappers are few, and names of layers may look like wrappers further down.
_MOST_PARTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed:
    """Tensors under a model's own names, and the names of those that are of no part of it."""

    tensors: Mapping[str, Tensor]
    outside: tuple[str, ...]


def renamed(tensors: Mapping[str, Tensor], model: nn.Module) -> Renamed:
    """Return ``tensors`` under the names of ``model``, whatever stands before them.

    The wrapper is the one under which most names are the model's. Names that no wrapper explains
    stay as they are: they are reported as unknown later.
    """
    plain = {name.replace(_COMPILED, ""): tensor for name, tensor in tensors.items()}
    wanted = list(model.state_dict())
    ways = [{name: name for name in wanted}, _numbered(model, wanted)]
    counted = [_best_prefix(plain, aliases) for aliases in ways]
    way, (count, prefix) = max(enumerate(counted), key=lambda each: each[1][0])
    if not count or (not way and not prefix):
        return Renamed(tensors=plain, outside=())
    inside = {name: value for name, value in plain.items() if name.startswith(prefix)}
    return Renamed(
        tensors={
            ways[way].get(rest := name.removeprefix(prefix), rest): value
            for name, value in inside.items()
        },
        outside=tuple(name for name in plain if name not in inside),
    )


def _numbered(model: nn.Module, wanted: Iterable[str]) -> dict[str, str]:
    """Return the names of a model's tensors with its children numbered, each with its own name."""
    numbers = {name: str(index) for index, (name, _) in enumerate(model.named_children())}
    aliases = {}
    for name in wanted:
        child, dot, rest = name.partition(".")
        if child in numbers and dot:
            aliases[f"{numbers[child]}.{rest}"] = name
    return aliases


def _best_prefix(names: Iterable[str], known: Mapping[str, str]) -> tuple[int, str]:
    """Return under which prefix most names are known ones, and how many; the shortest of equals."""
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        for cut in range(min(_MOST_PARTS, len(parts))):
            if ".".join(parts[cut:]) in known:
                counts["".join(f"{part}." for part in parts[:cut])] += 1
    best = min(counts, key=lambda each: (-counts[each], len(each)), default="")
    return counts[best], best
