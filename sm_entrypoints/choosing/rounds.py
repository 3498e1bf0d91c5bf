"""The rounds of a choice: growing parts of the pictures, as large as its budget allows.

A picture counts by the operations that a network takes for it. Whichever network wins, a choice
spends at most half of what it would take to show every picture to each network. Where so little
would prove nothing, it may spend more: with few pictures, or with two or three networks.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from sm_entrypoints.choosing.parts import part_of
from sm_entrypoints.images.channels import Split, Splits

# What the rounds show at most.
SHARES = (0.1, 0.3, 1.0)
# The fewest pictures of a class in a first round, if there are so many and they can be afforded.
LEAST_OF_A_CLASS = 10
BUDGET = 0.5
# A choice may always spend so many pictures for each network, and half of them in its first round:
# 40 of validation have a standard error of 8 points at most.
LEAST_PICTURES = 160
# Two networks may always be shown everything, if they take as much as the others.
_FINALISTS = 2
_STEPS = 100

Parts = tuple[Split, Split]


def affordable(pictures: int, networks: int) -> float:
    """Return how many pictures a choice may show to each network, if it showed all the same."""
    share = max(BUDGET, _FINALISTS / max(networks, 1))
    return min(float(pictures), max(share * pictures, LEAST_PICTURES))


class Rounds:
    """The rounds of one choice, one after the other.

    Args:
        splits: the pictures.
        flops: of each network that takes part in the first round.
    """

    def __init__(self, splits: Splits, flops: Sequence[float]) -> None:
        self._splits = splits
        self._all = len(splits.train) + len(splits.valid)
        self._each = affordable(self._all, len(flops))
        self._left = self._each * sum(flops)
        self._least = self._few()
        self._shown = 0
        self._shares = list(SHARES)

    def next(self, flops: Sequence[float]) -> Parts | None:
        """Return the parts of training and validation that networks with ``flops`` see next.

        They contain those of the round before. None: all was shown, or the budget is spent.
        """
        while self._shares and self._shown < self._all:
            share = self._shares.pop(0)
            # A round in the middle leaves as much as it may take to the last one.
            may = self._left / 2 if self._shares else self._left
            parts = self._parts(share)
            if self._shown and sum(flops) * (_size(parts) - self._shown) > may:
                parts = self._parts(self._largest(share, sum(flops), may))
            if _size(parts) > self._shown:
                self._left -= sum(flops) * (_size(parts) - self._shown)
                self._shown = _size(parts)
                return parts
        return None

    def _largest(self, share: float, flops: float, may: float) -> float:
        """Return the largest share below ``share`` that costs at most ``may``, by hundredths."""
        tried = range(round(share * _STEPS))
        fits = bisect_right(
            tried, may, key=lambda each: flops * (_size(self._parts(each / _STEPS)) - self._shown)
        )
        return max(fits - 1, 0) / _STEPS

    def _few(self) -> int:
        """Return the fewest pictures of a class: as many as half of the budget pays for."""
        most = max(self._each, LEAST_PICTURES) / 2
        fits = (
            least
            for least in range(LEAST_OF_A_CLASS, 1, -1)
            if _size(self._part_of_both(SHARES[0], least)) <= most
        )
        return next(fits, 1)

    def _parts(self, share: float) -> Parts:
        return self._part_of_both(share, self._least)

    def _part_of_both(self, share: float, least: int) -> Parts:
        splits = self._splits
        return part_of(splits.train, share, least=least), part_of(splits.valid, share, least=least)


def _size(parts: Parts) -> int:
    return len(parts[0]) + len(parts[1])
