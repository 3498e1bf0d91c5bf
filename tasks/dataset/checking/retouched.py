"""Find pictures that are another one made brighter, darker, flatter, mirrored or a little smaller.

Their colours are compared by correlation, which a change of brightness or contrast leaves as it is,
and the gradients of both must still agree in the main; those of a mirrored picture are the
picture's, read backwards. Where a picture looks so much like many others, that is how the classes
are (digits, X-rays), and no pair of it counts. Measured on the sample: docs/data.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from sm_entrypoints.images.look import COLOUR_SIDE, HASH_SIDE, Look

_LEAST_CORRELATION = 0.98
_MOST_DISTANCE = 0.3
# Standard deviation of the colours in levels, and bits: a blank page is like any other.
_LEAST_SPREAD = 4.0
_LEAST_BITS = 12
# A copy has few copies; a picture with more looks is of a kind.
_MOST_ALIKE = 4
_BLOCK = 512

Pairs = NDArray[np.intp]


def retouched_pairs(looks: Sequence[Look]) -> list[tuple[int, int]]:
    """Return the pairs of indexes whose pictures are retouched or mirrored copies, ascending.

    Every pair is compared, by matrix products: 10,000 pictures take a few seconds.
    """
    usable = _usable(looks)
    if len(usable) < 2:
        return []
    colours = np.stack([_colours(looks[index]) for index in usable])
    bits = np.stack([_bits(looks[index]) for index in usable])
    plain = _normalised(colours)
    mirrored = _normalised(colours[:, :, ::-1])
    # Of a mirrored picture, what rose to the right falls.
    bits_mirrored = bits[:, ::-1, :, ::-1]
    found = np.concatenate(
        [
            _agreeing(bits, bits, _correlated(plain, plain)),
            _agreeing(bits, bits_mirrored, _correlated(plain, mirrored)),
        ]
    )
    return sorted((usable[left], usable[right]) for left, right in _without_kinds(found))


def _usable(looks: Sequence[Look]) -> list[int]:
    return [
        index
        for index, look in enumerate(looks)
        if int.from_bytes(look.gradients, "big").bit_count() >= _LEAST_BITS
        and np.frombuffer(look.colours, dtype=np.uint8).std() >= _LEAST_SPREAD
    ]


def _colours(look: Look) -> NDArray[np.uint8]:
    return np.frombuffer(look.colours, dtype=np.uint8).reshape(COLOUR_SIDE, COLOUR_SIDE, 3)


def _bits(look: Look) -> NDArray[np.bool_]:
    flat = np.unpackbits(np.frombuffer(look.gradients, dtype=np.uint8))
    return flat.reshape(2, HASH_SIDE, HASH_SIDE).astype(bool)


def _normalised(colours: NDArray[np.uint8]) -> NDArray[np.float32]:
    rows = colours.reshape(len(colours), -1).astype(np.float32)
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def _correlated(
    rows: NDArray[np.float32], others: NDArray[np.float32]
) -> Iterator[tuple[Pairs, Pairs]]:
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK] @ others[start:].T
        left, right = np.nonzero(block >= _LEAST_CORRELATION)
        later = right > left
        yield left[later] + start, right[later] + start


def _agreeing(
    bits: NDArray[np.bool_], others: NDArray[np.bool_], found: Iterator[tuple[Pairs, Pairs]]
) -> Pairs:
    """Return the pairs whose gradients are near by Jaccard distance, as rows of two."""
    kept = [np.empty((0, 2), dtype=np.intp)]
    for left, right in found:
        for start in range(0, len(left), 8192):
            part = slice(start, start + 8192)
            one, other = bits[left[part]], others[right[part]]
            both = (one & other).sum(axis=(1, 2, 3))
            either = (one | other).sum(axis=(1, 2, 3))
            near = both >= (1 - _MOST_DISTANCE) * either
            kept.append(np.stack([left[part][near], right[part][near]], axis=1))
    return np.concatenate(kept)


def _without_kinds(pairs: Pairs) -> list[tuple[int, int]]:
    different = np.unique(pairs, axis=0)
    if not len(different):
        return []
    alike = np.bincount(different.ravel())
    few = (alike[different] <= _MOST_ALIKE).all(axis=1)
    return [(int(left), int(right)) for left, right in different[few]]
