"""Labels that are probably wrong, by confident learning on probabilities of unseen pictures.

Northcutt, Jiang, Chuang: Confident Learning, JAIR 70 (2021), as cleanlab implements it: how many
labels of each class are wrong is estimated, so that no threshold has to fit a data set.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sm_entrypoints.contract.sentences import counted
from sm_entrypoints.examination.clock import Deadline
from sm_entrypoints.examination.heads import choose_penalty, out_of_fold, stratified_folds
from sm_entrypoints.examination.pool import Pool

FOLDS = 5
# Folding anew and again makes claims surer: of 5% planted wrong labels among the sample drawings
# 66% were found either way, but 72 instead of 62% of the claims were right. Not of very many.
_REPEATS = 3
_MANY = 200_000
# Fewer pictures of a class than this say nothing about each other.
LEAST_PICTURES = 3
# What a picture probably is, minus what it is called: below it two classes are merely alike.
LEAST_MARGIN = 0.5
# How much better than always naming the largest class heads must be to be asked at all.
_LEAST_SKILL = 0.2
_Z = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What heads say of pictures that they have not seen.

    ``folds`` is each picture's; ``skill`` is the least share of what the largest class alone would
    get wrong that heads get right, at 95%.
    """

    probabilities: Tensor
    folds: NDArray[np.int64]
    penalty: float
    accuracy: float
    skill: float

    @property
    def knows(self) -> bool:
        """Whether features and labels have to do with each other."""
        return self.skill >= _LEAST_SKILL


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongLabel:
    """A picture by its row, with the class that it probably is of, and both probabilities."""

    row: int
    suggested: int
    probability: float
    label_probability: float


def judge(pool: Pool, deadline: Deadline) -> Judged:
    """Return the probabilities of every picture by heads that have not seen it.

    Raises:
        OutOfTimeError: there is no time for that.
    """
    classes = len(pool.classes)
    repeats = _REPEATS if len(pool) * classes <= _MANY else 1
    foldings = [
        stratified_folds(pool.rows, pool.labels, most=FOLDS, seed=seed) for seed in range(repeats)
    ]
    penalty = choose_penalty(
        pool.numbers, pool.labels, foldings[0], classes=classes, deadline=deadline
    )
    probabilities = out_of_fold(
        pool.numbers,
        pool.labels,
        foldings,
        classes=classes,
        penalty=penalty,
        deadline=deadline,
    )
    right = float((probabilities.argmax(1) == pool.labels).float().mean())
    return Judged(
        probabilities=probabilities,
        folds=foldings[0],
        penalty=penalty,
        accuracy=right,
        skill=_skill(right, pool.labels),
    )


def _skill(accuracy: float, labels: Tensor) -> float:
    count = len(labels)
    largest = float(torch.bincount(labels).max()) / count
    least = accuracy - _Z * (max(accuracy * (1 - accuracy), 0.0) / count) ** 0.5
    return float((least - largest) / max(1 - largest, 1e-9))


def wrong_labels(pool: Pool, judged: Judged) -> list[WrongLabel]:
    """Return the pictures whose labels are probably wrong, the surest first.

    Nothing where labels and features have nothing to do with each other, and nothing of a class of
    which the heads recognise no picture: to them all its labels would be wrong.
    """
    counts, right = _counts(pool, judged)
    kept = [
        place
        for place, (count, known) in enumerate(zip(counts, right, strict=True))
        if count >= LEAST_PICTURES and known
    ]
    if not judged.knows or len(kept) < 2:
        return []
    rows = np.flatnonzero(np.isin(pool.labels.numpy(), kept))
    table = judged.probabilities[rows][:, kept].double().numpy()
    table = table / np.clip(table.sum(1, keepdims=True), 1e-12, None)
    number = {label: place for place, label in enumerate(kept)}
    labels = np.array([number[label] for label in pool.labels[rows].tolist()])
    found = []
    for place in _issues(labels, table):
        best = int(table[place].argmax())
        likely, own = float(table[place, best]), float(table[place, labels[place]])
        if likely - own >= LEAST_MARGIN:
            found.append(
                WrongLabel(
                    row=int(rows[place]),
                    suggested=kept[best],
                    probability=likely,
                    label_probability=own,
                )
            )
    return sorted(found, key=lambda each: each.label_probability - each.probability)


def _counts(pool: Pool, judged: Judged) -> tuple[list[int], list[int]]:
    """Return how many pictures each class has, and how many of them the heads recognise."""
    size, recognised = len(pool.classes), judged.probabilities.argmax(1) == pool.labels
    counts = torch.bincount(pool.labels, minlength=size)
    right = torch.bincount(pool.labels[recognised], minlength=size)
    return counts.tolist(), right.tolist()


def _issues(labels: NDArray[np.int64], table: NDArray[np.float64]) -> Sequence[int]:
    # Its import takes a second, which only who asks pays.
    from cleanlab.filter import find_label_issues

    marked = find_label_issues(labels, table, filter_by="low_self_confidence", n_jobs=1)
    return [int(place) for place in np.flatnonzero(marked)]


def unjudged(pool: Pool, judged: Judged | None) -> list[str]:
    """Return sentences on classes that are too small, or too little known, to be judged well."""
    if judged is None:
        return []
    classes = list(zip(pool.classes, *_counts(pool, judged), strict=True))
    tiny = [name for name, count, _ in classes if count < LEAST_PICTURES]
    strange = [name for name, count, right in classes if count >= LEAST_PICTURES and not right]
    small = [name for name, count, right in classes if LEAST_PICTURES <= count < FOLDS and right]
    told = []
    if strange and judged.knows:
        told.append(
            f"{_named(strange)}: the network recognised none of these pictures, so that nothing "
            "can be said of their labels"
        )
    if tiny:
        told.append(
            f"{_named(tiny)}: fewer than {LEAST_PICTURES} pictures, too few to judge their labels"
        )
    if small:
        told.append(
            f"{_named(small)}: fewer pictures than the {FOLDS} folds, judged by what few there are"
        )
    return told


def _named(names: Sequence[str], most: int = 5) -> str:
    shown = ", ".join(names[:most])
    rest = len(names) - most
    return shown if rest <= 0 else f"{shown} and {counted(rest, 'more', 'more')}"
