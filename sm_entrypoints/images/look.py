"""What an image looks like, in two small arrays, and whether two look the same.

Both sides ask: the data check, of all pictures, and a job, of those that its network finds alike.
Pillow and numpy only, because the orchestrator has no torch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

HASH_SIDE = 16
COLOUR_SIDE = 8
# Neighbours closer than this many grey levels count as equal: JPEG noise on flat paper (a
# drawing's white) must not decide bits.
HASH_MARGIN = 3
# Of two images that look the same: Jaccard distance of their bits, and the mean absolute difference
# of their colour grids, in levels of 255.
MAX_HASH_DISTANCE = 0.25
MAX_COLOUR_DISTANCE = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What an image looks like, small enough to keep for every file of a data set.

    Attributes:
        gradients: 64 bytes, a difference hash: over a 16 by 16 grid, first one bit a cell that
            says that the grey value rises to the right by at least ``HASH_MARGIN`` levels, then
            one that says that it falls by as much. A blank image has no bit set.
        colours: 192 bytes, the image shrunk to 8 by 8 RGB pixels.
    """

    gradients: bytes
    colours: bytes


def look_of(image: Image.Image) -> Look:
    """Return the look of a decoded image of any mode, transparency over white."""
    small = _small_rgb(image)
    grey = small.convert("L").resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX)
    levels = np.asarray(grey, dtype=np.int16)
    steps = levels[:, 1:] - levels[:, :-1]
    bits = np.stack([steps >= HASH_MARGIN, steps <= -HASH_MARGIN])
    colours = small.resize((COLOUR_SIDE, COLOUR_SIDE), Image.Resampling.BOX)
    return Look(gradients=np.packbits(bits).tobytes(), colours=colours.tobytes())


def looks_same(one: Look, other: Look) -> bool:
    """Tell whether two images are near-duplicates: their hashes and their colours nearly agree."""
    bits = [int.from_bytes(look.gradients, "big") for look in (one, other)]
    colours = [
        np.frombuffer(look.colours, dtype=np.uint8).astype(np.int16) for look in (one, other)
    ]
    differ, either = (bits[0] ^ bits[1]).bit_count(), (bits[0] | bits[1]).bit_count()
    near = differ <= MAX_HASH_DISTANCE * either
    return near and float(np.abs(colours[0] - colours[1]).mean()) <= MAX_COLOUR_DISTANCE


def _small_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        # 16-bit PNG: "convert" would clip at 255 rather than scale.
        image = Image.fromarray((np.asarray(image, dtype=np.float64) / 257).astype(np.uint8))
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA"):
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    factor = max(1, min(image.size) // (4 * HASH_SIDE))
    if factor > 1 and image.mode in ("RGB", "RGBA", "L", "CMYK"):
        image = image.reduce(factor)
    return image.convert("RGB")
