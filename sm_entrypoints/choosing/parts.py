"""Parts of a split: for each class a share of its pictures, and never less than a few.

Parts of growing shares contain each other, so nothing that was computed for one is in vain.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict

from sm_entrypoints.images.channels import Split, Splits

# What each round shows to its networks, and the fewest pictures of a class, if there are so many.
SHARES = (0.1, 0.3, 1.0)
LEAST_OF_A_CLASS = 10


def part_of(split: Split, share: float) -> Split:
    """Return the part of a split; which pictures it has depends on their names alone."""
    by_class: dict[int, list[int]] = defaultdict(list)
    for index, label in enumerate(split.labels):
        by_class[label].append(index)
    kept: list[int] = []
    for indices in by_class.values():
        count = max(math.ceil(share * len(indices) - 1e-9), min(LEAST_OF_A_CLASS, len(indices)))
        kept += sorted(indices, key=lambda index: _place(split.paths[index]))[:count]
    return split.part(sorted(kept))


def rounds(splits: Splits) -> list[tuple[Split, Split]]:
    """Return the parts of training and validation of each round; the last one is all of both.

    Rounds that would show nothing new are left out: with few pictures the first one shows all.
    """
    found: list[tuple[Split, Split]] = []
    for share in SHARES:
        parts = part_of(splits.train, share), part_of(splits.valid, share)
        if not found or parts != found[-1]:
            found.append(parts)
    return found


def _place(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()
