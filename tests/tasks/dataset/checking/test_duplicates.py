from __future__ import annotations

import io

import pytest
from PIL import Image

from sm_entrypoints.images.look import Look, look_of
from tasks.dataset.checking.duplicates import similar_groups
from tests.worlds.pictures import picture


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def test_copies_are_found_and_others_are_not() -> None:
    originals = [picture(seed, (320, 240)) for seed in range(150)]
    copies = [
        recompressed(originals[7], 40),
        originals[20].resize((160, 120)),
        originals[90].convert("RGBA"),
    ]
    looks = [look_of(image) for image in [*originals, *copies]]
    assert similar_groups(looks) == [[7, 150], [20, 151], [90, 152]]


def test_same_drawing_in_another_colour_is_another_image() -> None:
    def sign(colour: str) -> Look:
        image = Image.new("RGB", (100, 100), "white")
        image.paste(colour, (20, 20, 80, 80))
        return look_of(image)

    assert similar_groups([sign("red"), sign("blue"), sign("red")]) == [[0, 2]]


def test_chain_is_one_group() -> None:
    base = bytearray(64)
    looks = []
    for step in range(4):
        base[:40] = b"\xff" * 40
        looks.append(Look(gradients=bytes(base), colours=bytes([step * 5] * 192)))
    # Neighbours differ by 5 levels of colour (near), the ends by 15 (not near).
    assert similar_groups([looks[0], looks[3]]) == []
    assert similar_groups(looks) == [[0, 1, 2, 3]]


def test_order_of_set_bits_does_not_hide_a_pair() -> None:
    few = Look(gradients=b"\xff" * 31 + bytes(33), colours=bytes(192))
    many = Look(gradients=b"\xff" * 40 + bytes(24), colours=bytes(192))
    other = Look(gradients=bytes(24) + b"\xff" * 40, colours=bytes(192))
    # 72 of 320 bits differ: 0.225.
    assert similar_groups([many, other, few]) == [[0, 2]]


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_to_compare(count: int) -> None:
    assert similar_groups([look_of(picture(0))] * count) == []


def test_equal_looks_are_one_group_at_once() -> None:
    blank = look_of(Image.new("RGB", (8, 8), "white"))
    assert similar_groups([blank] * 50_000) == [list(range(50_000))]
