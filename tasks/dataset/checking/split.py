"""Split the images of one class: stratified, seeded, and near-duplicates stay together."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from platforms.errors import ParameterError
from sm_entrypoints.contract import TRAIN_CHANNEL


def check_shares(shares: Mapping[str, float]) -> None:
    """Check that each share lies in (0, 1) and that something is left for training.

    Raises:
        ParameterError: names the shares and the rule.
    """
    if not all(0 < share < 1 for share in shares.values()) or sum(shares.values()) >= 1:
        raise ParameterError(
            f"Shares of splits must lie between 0 and 1 and sum to less than 1, but got "
            f"{dict(shares)!r}. A usual choice is 0.15 for each."
        )


def split_class(
    groups: Sequence[Sequence[str]], shares: Mapping[str, float], *, seed: int
) -> list[str]:
    """Return the split of each group of one class: a key of ``shares``, or train.

    A group holds the content digests of images that must stay together. The order is decided by
    digest and seed alone: names, folders and machines do not matter, and an image added later
    moves few of the others. Every split gets at least one group if there are as many groups as
    splits; else splits are left empty.
    """
    sizes = [len(group) for group in groups]
    wanted = _wanted(sum(sizes), shares)
    order = sorted(range(len(groups)), key=lambda index: _rank(groups[index], seed))
    assigned = dict.fromkeys(shares, 0)
    splits = [TRAIN_CHANNEL] * len(groups)
    for index in order:
        for split in shares:
            if assigned[split] + sizes[index] <= wanted[split]:
                splits[index] = split
                assigned[split] += sizes[index]
                break
    for split in shares:
        # Every group is larger than the share: an oversized split beats an empty one.
        left = [index for index in order if splits[index] == TRAIN_CHANNEL]
        if not assigned[split] and len(left) > 1:
            splits[min(left, key=lambda index: sizes[index])] = split
    return splits


def _wanted(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    wanted = {split: max(1, round(share * total)) for split, share in shares.items()}
    while sum(wanted.values()) >= total and max(wanted.values()) > 1:
        wanted[max(wanted, key=lambda split: wanted[split])] -= 1
    return wanted


def _rank(group: Sequence[str], seed: int) -> str:
    return hashlib.sha256(f"{seed}:{min(group)}".encode()).hexdigest()
