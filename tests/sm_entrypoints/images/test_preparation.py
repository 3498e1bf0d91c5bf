from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms.v2 import functional

from sm_entrypoints.images.decoding import ImageError, TooManyPixels
from sm_entrypoints.images.preparation import evaluation_pixels, evaluation_transform, open_image
from sm_entrypoints.models.model import ModelCard

COLOUR = (200, 100, 50)
CARD = ModelCard(architecture="resnet18", classes=("a", "b"), image_size=32, resize_size=40)


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def plain(mode: str = "RGB") -> Image.Image:
    return Image.new("RGB", (40, 30), COLOUR).convert(mode)


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "PNG"), ("RGB", "JPEG"), ("RGBA", "PNG"), ("P", "PNG"), ("CMYK", "JPEG")],
)
def test_colours_survive_every_mode(mode: str, kind: str) -> None:
    image = open_image(encoded(plain(mode), kind))
    assert (image.mode, image.size) == ("RGB", (40, 30))
    assert np.allclose(np.asarray(image)[15, 20], COLOUR, atol=6)


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_becomes_rgb(mode: str) -> None:
    pixel = open_image(encoded(plain(mode), "PNG")).getpixel((3, 3))
    assert isinstance(pixel, tuple)
    assert len(set(pixel)) == 1


def test_sixteen_bits_are_scaled_not_clipped() -> None:
    grey = Image.fromarray(np.full((30, 40), 30_000, dtype=np.uint16))
    assert open_image(encoded(grey, "PNG")).getpixel((0, 0)) == (116, 116, 116)


def test_transparency_is_laid_over_white() -> None:
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert open_image(encoded(half, "PNG")).getpixel((0, 0)) == (255, 255, 255)


def test_a_camera_on_its_side_is_turned_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    assert open_image(encoded(plain(), "JPEG", exif=exif)).size == (30, 40)


def _bomb() -> bytes:
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    packed = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + packed + end


def test_a_bomb_is_too_many_pixels() -> None:
    with pytest.raises(TooManyPixels, match="the image has 30000 x 30000 pixels, more than 400"):
        open_image(_bomb())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty"),
        (b"hello", "is not a JPEG or PNG image"),
        (encoded(plain(), "GIF"), "is not a JPEG or PNG image"),
        (encoded(plain(), "JPEG")[:-100], "cannot be decoded"),
        (encoded(Image.effect_noise((64, 64), 90), "PNG")[:-900], "cannot be decoded"),
    ],
)
def test_what_is_no_image_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        open_image(data)


def test_a_bad_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "chien d'été.jpg"
    file.write_bytes(b"no")
    with pytest.raises(ImageError, match=r"chien d'été.jpg is not"):
        open_image(file)


def test_the_crop_is_that_of_torchvisions_presets() -> None:
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 255, (6, 9, 3), dtype=np.uint8))
    image = coarse.resize((300, 200), Image.Resampling.BICUBIC)
    resized = functional.resize(image, [CARD.resize_size], antialias=True)
    theirs = functional.pil_to_tensor(functional.center_crop(resized, [32, 32]))
    ours = evaluation_pixels(image, CARD)
    assert (ours.int() - theirs.int()).abs().float().mean() < 1


def test_the_transform_crops_the_centre_and_normalises() -> None:
    image = Image.new("RGB", (100, 50), (0, 0, 0))
    # The crop is the 40 x 40 in the middle; its edge pixels also see their neighbours.
    image.paste((255, 255, 255), (27, 2, 73, 48))
    tensor = evaluation_transform(CARD)(image)
    assert (tensor.dtype, tensor.shape) == (torch.float32, (3, 32, 32))
    white = (1 - torch.tensor(CARD.mean)) / torch.tensor(CARD.std)
    assert torch.allclose(tensor, white.view(3, 1, 1).expand_as(tensor), atol=0.02)


def test_an_extreme_shape_costs_no_memory() -> None:
    assert evaluation_pixels(Image.new("RGB", (1, 2_000_000)), CARD).shape == (3, 32, 32)
