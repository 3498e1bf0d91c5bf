"""Pictures of any mode as RGB, within little more memory than the result takes.

Colours are converted part by part: a transparent picture of 25 megapixels would take 500 MB on the
way if it were converted at once, half of the smallest serverless endpoint.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from PIL import Image

SIXTEEN_BIT = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_PART_PIXELS = 2_000_000


def reduced(image: Image.Image, scale: int) -> Image.Image:
    """Return an RGB image of averaged blocks, made part by part."""
    small = Image.new("RGB", (math.ceil(image.width / scale), math.ceil(image.height / scale)))
    for box in _parts(image, scale):
        small.paste(_part_to_rgb(image.crop(box)).reduce(scale), (box[0] // scale, box[1] // scale))
    return small


def _parts(image: Image.Image, scale: int = 1) -> Iterator[tuple[int, int, int, int]]:
    """Yield boxes that cover an image, of whole blocks of ``scale`` pixels in each direction."""
    across = math.ceil(min(image.width, _PART_PIXELS // scale) / scale) * scale
    down = max(scale, _PART_PIXELS // across // scale * scale)
    for top in range(0, image.height, down):
        for left in range(0, image.width, across):
            right, bottom = min(image.width, left + across), min(image.height, top + down)
            yield left, top, right, bottom


def to_rgb(image: Image.Image) -> Image.Image:
    """Return an image in mode RGB: greys of 16 bits scaled, transparency laid over white.

    Made part by part: what is converted on the way takes several times the image's memory.
    """
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.width * image.height <= _PART_PIXELS:
        return _part_to_rgb(image)
    rgb = Image.new("RGB", image.size)
    for box in _parts(image):
        rgb.paste(_part_to_rgb(image.crop(box)), box[:2])
    return rgb


def _part_to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in SIXTEEN_BIT:
        # convert() would clip 16-bit greys to white: scale them to eight bits first.
        top = 65_535.0 if image.mode != "F" else 255.0
        grey = image.convert("F").point(lambda value: value * (255.0 / top))
        return grey.convert("L").convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
