"""Pictures of two splits that look alike to the network: what is learned is then also examined.

Hashes find copies of a file; features also find mirrored, cropped or recoloured ones. How alike two
different pictures are depends on the data (all are X-rays, say), so the bar is set by the data: by
how alike each picture is to the nearest one of *another class*, which cannot be of the same thing.
Where a fifth of all pictures pass it, classes are that uniform (photographs of one product); then
only pairs count that are more alike than neighbours within one split, where nothing can leak.

A picture that was cropped, or made darker, is less alike, but to no other picture as it is to its
original: where the next one is at least twice as far away, the two count as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sm_entrypoints.examination.clock import Deadline
from sm_entrypoints.examination.pool import Pool

# Measured on the sample drawings: docs/pictures.md.
LEAST_COSINE = 0.9
# Of a crop of 10% and its original; pictures of one kind are alike to several.
_LEAST_CLOSE = 0.75
_SHARE_OF_NEXT = 0.5
# Of all pictures, so many are less alike to their nearest neighbour of another class than the bar.
_QUANTILE = 0.95
# If more of the pictures pass, it is how the classes are.
_MOST_PASS = 0.2
# Above this they are copies, which the data check tells already.
COPY_COSINE = 0.9999
_BLOCK = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAlike:
    """Two pictures of different splits by their rows, the earlier split first."""

    row: int
    other: int
    cosine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAlikes:
    """The pairs, the most alike first, and the bar that they passed."""

    pairs: tuple[LookAlike, ...]
    bar: float


def look_alikes(pool: Pool, deadline: Deadline) -> LookAlikes:
    """Return each picture's nearest one in an earlier split, where the two are unusually alike.

    Cosines are of features whose mean over all pictures was taken off: what all have in common does
    not make two alike. Pictures with the same features are left out. Every pair is compared, in
    blocks: 10,000 pictures take seconds.

    Raises:
        OutOfTimeError: there are too many pictures for the time.
    """
    rows = functional.normalize(pool.rows - pool.rows.mean(0), dim=1)
    near = _neighbours(rows, pool.labels, pool.split_numbers(), deadline)
    across, nearest = near.across, near.nearest
    bar = max(LEAST_COSINE, _usual(near.foreign))
    if float((across >= bar).sum()) > _MOST_PASS * max(1, int((across > -1).sum())):
        bar = max(bar, _usual(near.within))
    alike = ((across >= bar) | _stands_out(near)) & (across < COPY_COSINE)
    pairs = [
        LookAlike(row=int(nearest[row]), other=row, cosine=float(across[row]))
        for row in alike.nonzero().flatten().tolist()
    ]
    return LookAlikes(pairs=tuple(sorted(pairs, key=lambda each: -each.cosine)), bar=bar)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Near:
    """Of each row the best cosine to others: of another class (in any split), of its own split, of
    an earlier split, which row that is, and to all but that one. -1 where there is none.
    """

    foreign: Tensor
    within: Tensor
    across: Tensor
    nearest: Tensor
    next: Tensor


def _stands_out(near: _Near) -> Tensor:
    """Return which rows are by far more alike to one of an earlier split than to any other."""
    close = near.across >= _LEAST_CLOSE
    passes = close & ((1 - near.across) <= _SHARE_OF_NEXT * (1 - near.next))
    often = float(passes.sum()) > _MOST_PASS * max(1, int((near.across > -1).sum()))
    return torch.zeros_like(passes) if often else passes


def _neighbours(rows: Tensor, labels: Tensor, splits: Tensor, deadline: Deadline) -> _Near:
    """Compare all rows; copies do not count as neighbours."""
    foreign, within, across, others = (torch.full((len(rows),), -1.0) for _ in range(4))
    nearest = torch.zeros(len(rows), dtype=torch.int64)
    for start in range(0, len(rows), _BLOCK):
        deadline.check()
        block = rows[start : start + _BLOCK]
        stop = start + len(block)
        cosines = block @ rows.T
        cosines[cosines >= COPY_COSINE] = -1.0
        same_class = labels[start:stop, None] == labels[None, :]
        foreign[start:stop] = cosines.masked_fill(same_class, -1.0).max(1).values
        same_split = splits[start:stop, None] == splits[None, :]
        within[start:stop] = cosines.masked_fill(~same_split, -1.0).max(1).values
        later = splits[None, :] >= splits[start:stop, None]
        best = cosines.masked_fill(later, -1.0).max(1)
        across[start:stop], nearest[start:stop] = best.values, best.indices
        others[start:stop] = cosines.scatter(1, best.indices[:, None], -1.0).max(1).values
    return _Near(foreign=foreign, within=within, across=across, nearest=nearest, next=others)


def _usual(cosines: Tensor) -> float:
    """Return what all but a few stay below; -1 where there are none."""
    there = cosines[cosines > -1]
    # torch.quantile() takes 16 million numbers at most.
    some = there[:: max(1, len(there) // 100_000)]
    return float(torch.quantile(some, _QUANTILE)) if len(some) else -1.0
