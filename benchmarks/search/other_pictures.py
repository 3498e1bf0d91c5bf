"""Pictures that the choice among networks was never tuned on, from packages and made.

- ``digits``: scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, which come with it.
- ``clothes``: Fashion-MNIST, 28 x 28 pixels, where Debian's dataset-fashion-mnist is installed.
- ``patterns``: made like those of the other parts, in other numbers: few classes, few pictures.

All are small and grey or made: no photos, which is what the networks' weights know.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.search.pictures import write_pictures

CLOTHES = Path("/usr/share/datasets/fashion-mnist")
# Pictures of a class in each split.
_SPLITS = {"train": 90, "valid": 45}
_SIDE = 64
# Of the files in the format of MNIST.
_HEAD_OF_IMAGES, _HEAD_OF_LABELS, _CLOTHES_SIDE = 16, 8, 28


def data_sets(folder: Path, clothes: Path = CLOTHES) -> dict[str, Path]:
    """Write the data sets that can be had here below ``folder``; return where each is."""
    makers: dict[str, Callable[[Path], object]] = {"digits": _digits, "patterns": _patterns}
    if clothes.is_dir():
        makers["clothes"] = lambda target: _clothes(target, clothes)
    for name, make in makers.items():
        make(folder / name)
    return {name: folder / name for name in makers}


def _digits(target: Path) -> None:
    from sklearn.datasets import load_digits

    found = load_digits()
    _write(target, zip((found.images * 255 / 16).astype(np.uint8), found.target, strict=True))


def _clothes(target: Path, source: Path) -> None:
    pixels = _unpacked(source / "train-images-idx3-ubyte.gz", _HEAD_OF_IMAGES)
    labels = _unpacked(source / "train-labels-idx1-ubyte.gz", _HEAD_OF_LABELS)
    _write(target, zip(pixels.reshape(-1, _CLOTHES_SIDE, _CLOTHES_SIDE), labels, strict=True))


def _unpacked(file: Path, head: int) -> NDArray[np.uint8]:
    return np.frombuffer(gzip.decompress(file.read_bytes())[head:], dtype=np.uint8)


def _patterns(target: Path) -> None:
    write_pictures(target, count=480, classes=12, side=_SIDE)


def _write(target: Path, pictures: Iterable[tuple[NDArray[np.uint8], int]]) -> None:
    """Write the first pictures of each class, as many as the splits take."""
    seen: dict[int, int] = {}
    for pixels, label in pictures:
        number = seen[label] = seen.get(label, -1) + 1
        split = "train" if number < _SPLITS["train"] else "valid"
        if number < sum(_SPLITS.values()):
            place = target / split / f"class-{label}"
            place.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
            image.convert("RGB").save(place / f"{number:03d}.png")
