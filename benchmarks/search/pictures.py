"""JPEG files to search on: made, not downloaded, so that anyone can run the same benchmark.

A class is a coarse pattern of its own under fine noise and a shift: a network can learn it, and a
decoder has as much to do as with a photo of that size.
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

# Shares of the pictures, in eighths.
_SPLITS = {"train": 6, "valid": 1, "test": 1}
_COARSE = 8


def write_pictures(folder: Path, *, count: int, classes: int, side: int) -> dict[str, int]:
    """Write ``folder/<split>/<class>/*.jpg``; return how many pictures each split has.

    Every class has the same number in each split; ``count`` is rounded up to that.
    """
    eighth = max(1, -(-count // (8 * classes)))
    with ProcessPoolExecutor() as pool:
        write = partial(_write_class, folder, eighth=eighth, side=side)
        list(pool.map(write, range(classes)))
    return {split: share * eighth * classes for split, share in _SPLITS.items()}


def _write_class(folder: Path, label: int, *, eighth: int, side: int) -> None:
    numbers = iter(range(8 * eighth))
    pattern = np.random.default_rng((1, label)).normal(128, 45, (_COARSE, _COARSE, 3))
    for split, share in _SPLITS.items():
        place = folder / split / f"class-{label:03d}"
        place.mkdir(parents=True, exist_ok=True)
        for number in islice(numbers, share * eighth):
            picture = _picture(pattern, side, (2, label, number))
            picture.save(place / f"{number:05d}.jpg", quality=90)


def _picture(pattern: np.ndarray, side: int, seed: tuple[int, ...]) -> Image.Image:
    random = np.random.default_rng(seed)
    coarse = np.roll(pattern, random.integers(0, 3, 2), (0, 1)) + random.normal(
        0, 35, pattern.shape
    )
    image = Image.fromarray(np.clip(coarse, 0, 255).astype(np.uint8))
    fine = np.asarray(image.resize((side, side), Image.Resampling.BICUBIC), dtype=np.float32)
    noisy = fine + random.normal(0, 12, fine.shape).astype(np.float32)
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def copies(source: Path, target: Path, *, times: int) -> dict[str, int]:
    """Write every picture ``times`` times, each with bytes of its own; return the new counts.

    What follows the end of a JPEG file changes its digest, not its pixels.
    """
    counts: dict[str, int] = {}
    for path in source.rglob("*.jpg"):
        relative = path.relative_to(source)
        content = path.read_bytes()
        (target / relative).parent.mkdir(parents=True, exist_ok=True)
        for number in range(times):
            copy = target / relative.with_stem(f"{relative.stem}-{number}")
            copy.write_bytes(content + number.to_bytes(2))
        counts[relative.parts[0]] = counts.get(relative.parts[0], 0) + times
    return counts
