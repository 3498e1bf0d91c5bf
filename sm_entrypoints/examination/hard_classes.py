"""The classes that heads get wrong most often, and what they take them for."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from sm_entrypoints.examination.pool import Pool
from sm_entrypoints.examination.wrong_labels import Judged


@dataclass(frozen=True, slots=True, kw_only=True)
class HardClass:
    """A class, how many pictures it has, and the share (0..1) that is recognised.

    ``mistaken_for`` is what its pictures are taken for most often, ``times`` how often; empty and 0
    where nothing was mistaken.
    """

    label: str
    pictures: int
    recall: float
    mistaken_for: str
    times: int


def hard_classes(pool: Pool, judged: Judged, most: int) -> list[HardClass]:
    """Return the classes with the lowest recall, the lowest first; those without a mistake never.

    Every picture is judged by heads that have not seen it.
    """
    size = len(pool.classes)
    pairs = pool.labels * size + judged.probabilities.argmax(1)
    confusion = torch.bincount(pairs, minlength=size * size).view(size, size)
    found = []
    for place, label in enumerate(pool.classes):
        row = confusion[place].clone()
        count, right = int(row.sum()), int(row[place])
        row[place] = 0
        if right == count:
            continue
        found.append(
            HardClass(
                label=label,
                pictures=count,
                recall=right / count,
                mistaken_for=pool.classes[int(row.argmax())],
                times=int(row.max()),
            )
        )
    return sorted(found, key=lambda each: (each.recall, -each.pictures, each.label))[:most]
