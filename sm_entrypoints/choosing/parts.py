"""Parts of a split: for each class a share of its pictures, and never less than a few.

Parts of growing shares contain each other, so nothing that was computed for one is in vain.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict

from sm_entrypoints.images.channels import Split


def part_of(split: Split, share: float, *, least: int) -> Split:
    """Return the part of a split; which pictures it has depends on their names alone.

    Args:
        split: the whole.
        share: of each class.
        least: pictures of a class, if there are so many.
    """
    by_class: dict[int, list[int]] = defaultdict(list)
    for index, label in enumerate(split.labels):
        by_class[label].append(index)
    kept: list[int] = []
    for indices in by_class.values():
        count = max(math.ceil(share * len(indices) - 1e-9), min(least, len(indices)))
        kept += sorted(indices, key=lambda index: _place(split.paths[index]))[:count]
    return split.part(sorted(kept))


def _place(path: str) -> str:
    return hashlib.sha256(path.encode()).hexdigest()
