"""Copies that were made brighter, flatter or mirrored, planted among the sample's drawings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from platforms.settings import PROJECT_ROOT
from sm_entrypoints.images.look import look_of
from tasks.dataset.checking.duplicates import similar_groups
from tasks.dataset.checking.retouched import retouched_pairs

Change = Callable[[Image.Image], Image.Image]
PATHS = sorted((PROJECT_ROOT / "samples" / "clipart").glob("*/*/*.jpg"))[::6]
CHANGES: dict[str, tuple[Change, float]] = {
    "less contrast": (lambda image: ImageEnhance.Contrast(image).enhance(0.6), 0.95),
    "more contrast": (lambda image: ImageEnhance.Contrast(image).enhance(1.4), 0.9),
    "darker": (lambda image: ImageEnhance.Brightness(image).enhance(0.7), 0.95),
    "brighter": (lambda image: ImageEnhance.Brightness(image).enhance(1.2), 0.7),
    "mirrored": (ImageOps.mirror, 0.95),
    "mirrored and darker": (
        lambda i: ImageEnhance.Brightness(ImageOps.mirror(i)).enhance(0.7),
        0.9,
    ),
}


@pytest.fixture(scope="module")
def drawings() -> list[Image.Image]:
    return [Image.open(path).convert("RGB") for path in PATHS]


@pytest.mark.parametrize("name", CHANGES)
def test_planted_copies_are_found(drawings: list[Image.Image], name: str) -> None:
    change, least = CHANGES[name]
    looks = [look_of(image) for image in [*drawings, *map(change, drawings)]]
    count = len(drawings)
    groups = [set(group) for group in similar_groups(looks)]
    found = sum(any({at, at + count} <= group for group in groups) for at in range(count))
    assert found >= least * count, found


def test_crops_are_not_found_and_the_check_says_so(drawings: list[Image.Image]) -> None:
    """Those of 5% on each side; a network finds them: docs/pictures.md."""
    crops = [image.crop(tuple(_inside(image.size, 0.05))) for image in drawings]
    looks = [look_of(image) for image in [*drawings, *crops]]
    groups, count = [set(group) for group in similar_groups(looks)], len(drawings)
    found = sum(any({at, at + count} <= group for group in groups) for at in range(count))
    assert found <= 0.1 * count, "dashboards/sections/run.py says that crops are not seen"


def _inside(size: tuple[int, int], share: float) -> list[int]:
    width, height = size
    left, top = round(width * share), round(height * share)
    return [left, top, width - left, height - top]


def test_different_drawings_are_different(drawings: list[Image.Image]) -> None:
    assert retouched_pairs([look_of(image) for image in drawings]) == []


def test_blank_pages_and_kinds_of_pictures_are_no_copies() -> None:
    blank = [look_of(Image.new("RGB", (40, 40), (level, 255, 255))) for level in range(200, 240)]
    assert retouched_pairs(blank) == []
    noise = np.random.default_rng(0)
    base = noise.integers(0, 255, (16, 16, 3))
    kind = [
        look_of(
            Image.fromarray((base + noise.integers(0, 9, base.shape)).clip(0, 255).astype("uint8"))
        )
        for _ in range(12)
    ]
    assert retouched_pairs(kind) == []
    assert retouched_pairs(kind[:3]) == [(0, 1), (0, 2), (1, 2)]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few(drawings: list[Image.Image], count: int) -> None:
    assert retouched_pairs([look_of(drawings[0])] * count) == []
