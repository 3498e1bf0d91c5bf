"""Pictures that the choice among networks was never tuned on, from packages and made.

- ``digits``: scikit-learn's 1,797 handwritten digits of 8 x 8 pixels, which come with it.
- ``clothes``: Fashion-MNIST, 28 x 28 pixels, where Debian's dataset-fashion-mnist is installed.
- ``emoji``: drawings by their Unicode group, where Debian's fonts-noto-color-emoji and
  unicode-data are installed: 8 groups, a third of each for validation.
- ``patterns``: made like those of the other parts, in other numbers: few classes, few pictures.

All are small and grey, drawn or made: no photos, which is what the networks' weights know.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from benchmarks.search.pictures import write_pictures

SHARED = Path("/usr/share")
_CLOTHES = "datasets/fashion-mnist"
_FONT, _EMOJI = "fonts/truetype/noto/NotoColorEmoji.ttf", "unicode/emoji/emoji-test.txt"
# Pictures of a class in each split.
_SPLITS = {"train": 90, "valid": 45}
_SIDE = 64
# Of the files in the format of MNIST.
_HEAD_OF_IMAGES, _HEAD_OF_LABELS, _CLOTHES_SIDE = 16, 8, 28
# The font has drawings of one size only. A group with fewer is left out: the one of skin colours.
_FONT_SIZE, _CANVAS, _FEWEST = 109, (136, 128), 30
_GROUP = "# group: "


def data_sets(folder: Path, shared: Path = SHARED) -> dict[str, Path]:
    """Write the data sets that can be had here below ``folder``; return where each is."""
    makers: dict[str, Callable[[Path], object]] = {"digits": _digits, "patterns": _patterns}
    if (shared / _CLOTHES).is_dir():
        makers["clothes"] = lambda target: _clothes(target, shared / _CLOTHES)
    if (shared / _FONT).is_file() and (shared / _EMOJI).is_file():
        makers["emoji"] = lambda target: _emoji(target, shared)
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


def _emoji(target: Path, shared: Path) -> None:
    font = ImageFont.truetype(shared / _FONT, _FONT_SIZE)
    for label, texts in enumerate(_groups(shared / _EMOJI)):
        for number, text in enumerate(texts[: sum(_SPLITS.values())]):
            image = Image.new("RGB", _CANVAS, "white")
            ImageDraw.Draw(image).text((0, 0), text, font=font, embedded_color=True)
            _save(image, target / ("train" if (number + 1) % 3 else "valid"), label, number)


def _groups(file: Path) -> list[list[str]]:
    """Return the emoji of one character by their groups."""
    groups: list[list[str]] = []
    for line in file.read_text("utf-8").splitlines():
        code, _, rest = line.partition(";")
        if line.startswith(_GROUP):
            groups.append([])
        elif rest.strip().startswith("fully-qualified") and len(code.split()) == 1:
            groups[-1].append(chr(int(code, 16)))
    return [group for group in groups if len(group) >= _FEWEST]


def _write(target: Path, pictures: Iterable[tuple[NDArray[np.uint8], int]]) -> None:
    """Write the first pictures of each class, as many as the splits take."""
    seen: dict[int, int] = {}
    for pixels, label in pictures:
        number = seen[label] = seen.get(label, -1) + 1
        split = "train" if number < _SPLITS["train"] else "valid"
        if number < sum(_SPLITS.values()):
            _save(Image.fromarray(pixels), target / split, label, number)


def _save(image: Image.Image, split: Path, label: int, number: int) -> None:
    place = split / f"class-{label}"
    place.mkdir(parents=True, exist_ok=True)
    resized = image.resize((_SIDE, _SIDE), Image.Resampling.BICUBIC)
    resized.convert("RGB").save(place / f"{number:03d}.png")
