"""Find images that look the same: the leak between splits that no checksum shows.

Two images are near-duplicates when their difference hashes and their colours nearly agree. The
hashes are compared by Jaccard distance (bits that differ over bits that are set in either), not
by a plain count, because a small drawing on white paper sets few bits and would be "near" any
other one. Measured on 350 clip-art drawings: 98% of recompressed (JPEG quality 30) and 96% of
halved copies are found, and 12 of 61,000 pairs of different files are reported, all of them
variants of one drawing. Mirrored copies and those of another brightness are found by
:mod:`tasks.dataset.checking.retouched`; rotated or strongly cropped ones are not found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sm_entrypoints.images.look import MAX_COLOUR_DISTANCE, MAX_HASH_DISTANCE, Look
from tasks.dataset.checking.retouched import retouched_pairs

# Rows and columns that are compared at a time: what they take stays in a processor's cache.
_BLOCK, _TILE = 128, 1024


def similar_groups(looks: Sequence[Look]) -> list[list[int]]:
    """Return the groups of two or more indexes whose images look the same, all ascending.

    A group is connected, not complete: its first and last image may differ when a chain of
    near-duplicates (the frames of a film) lies between. Every pair is compared, in blocks:
    10,000 images take about a second and tens of megabytes.
    """
    groups = _Groups(len(looks))
    # Equal looks are joined here, so that a folder of blank images is not a quadratic problem.
    first: dict[Look, int] = {}
    for index, look in enumerate(looks):
        groups.join(first.setdefault(look, index), index)
    distinct = sorted(first.values(), key=lambda index: _set_bits(looks[index]))
    for left, right in _near_pairs([looks[index] for index in distinct]):
        groups.join(distinct[left], distinct[right])
    for left, right in retouched_pairs([looks[index] for index in distinct]):
        groups.join(distinct[left], distinct[right])
    return groups.members()


class _Groups:
    """Disjoint sets of ``range(count)``; the root of a set is its smallest member."""

    def __init__(self, count: int) -> None:
        self._parent = list(range(count))

    def join(self, left: int, right: int) -> None:
        low, high = sorted((self._root(left), self._root(right)))
        self._parent[high] = low

    def members(self) -> list[list[int]]:
        groups: dict[int, list[int]] = {}
        for item in range(len(self._parent)):
            groups.setdefault(self._root(item), []).append(item)
        return [items for items in groups.values() if len(items) > 1]

    def _root(self, item: int) -> int:
        while self._parent[item] != item:
            self._parent[item] = self._parent[self._parent[item]]
            item = self._parent[item]
        return item


def _set_bits(look: Look) -> int:
    return int.from_bytes(look.gradients, "big").bit_count()


def _near_pairs(looks: Sequence[Look]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of near looks, which must be in the order of their set bits."""
    if not looks:
        return
    bits = np.stack([np.frombuffer(look.gradients, dtype=np.uint64) for look in looks])
    colours = np.stack([np.frombuffer(look.colours, dtype=np.uint8) for look in looks])
    set_bits = np.bitwise_count(bits).sum(axis=1, dtype=np.int32)
    # A pair can only be near if one has at least (1 - distance) of the other's set bits, so
    # each look has its candidates in a window behind it.
    ends = np.searchsorted(set_bits, set_bits / (1 - MAX_HASH_DISTANCE), side="right")
    for start in range(0, len(looks), _BLOCK):
        stop = min(start + _BLOCK, len(looks))
        end = int(ends[stop - 1])
        for first in range(start, end, _TILE):
            left, right = _near(bits, set_bits, (start, stop), (first, min(first + _TILE, end)))
            same = _colour_distance(colours, left, right) <= MAX_COLOUR_DISTANCE
            yield from zip(left[same].tolist(), right[same].tolist(), strict=True)


def _near(
    bits: NDArray[np.uint64],
    set_bits: NDArray[np.int32],
    rows: tuple[int, int],
    others: tuple[int, int],
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the pairs of ``rows`` with later ones of ``others``, near by hash."""
    (start, stop), (first, last) = rows, others
    differ = np.zeros((stop - start, last - first), dtype=np.uint16)
    for word in range(bits.shape[1]):
        differ += np.bitwise_count(bits[start:stop, None, word] ^ bits[None, first:last, word])
    # Near is: differ <= distance * either, where twice either is differ and all set bits.
    share = np.float32(MAX_HASH_DISTANCE / (2 - MAX_HASH_DISTANCE))
    bar = share * (set_bits[start:stop, None] + set_bits[None, first:last]).astype(np.float32)
    left, right = np.nonzero(differ <= bar + np.float32(1e-3))
    left, right = left + start, right + first
    later = right > left
    left, right = left[later], right[later]
    apart = np.bitwise_count(bits[left] ^ bits[right]).sum(axis=1, dtype=np.int32)
    exact = apart <= MAX_HASH_DISTANCE * ((apart + set_bits[left] + set_bits[right]) / 2)
    return left[exact], right[exact]


def _colour_distance(
    colours: NDArray[np.uint8], left: NDArray[np.intp], right: NDArray[np.intp]
) -> NDArray[np.float64]:
    # In slices: a data set of blank images makes every pair a candidate.
    slices = [slice(at, at + 65536) for at in range(0, len(left), 65536)]
    distances = [
        np.abs(colours[left[part]].astype(np.int16) - colours[right[part]]).mean(axis=1)
        for part in slices
    ]
    return np.concatenate(distances) if distances else np.zeros(0)
