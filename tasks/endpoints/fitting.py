"""Make a picture small enough for a request, which takes fewer bytes than a test image may have."""

from __future__ import annotations

import io

from platforms.errors import DataError
from sm_entrypoints.contract.sentences import clause
from sm_entrypoints.images.decoding import DECODE_ERRORS, ImageError, load_picture
from sm_entrypoints.images.files import READ_KINDS

# Far more than any network looks at.
_SIDES = (2048, 1024, 512)
_QUALITY = 95


def fitted(picture: bytes, most_bytes: int) -> bytes:
    """Return a picture as a JPEG of at most ``most_bytes``, scaled down and upright.

    Raises:
        DataError: it cannot be decoded, or made so small.
    """
    try:
        upright = load_picture(picture, formats=READ_KINDS, least_side=_SIDES[0]).upright()
    except (*DECODE_ERRORS, ImageError) as error:
        size = f"a picture of {len(picture) / 1e6:.1f} MB"
        raise DataError(f"{size} cannot be scaled down for a request: {clause(error)}") from error
    for side in _SIDES:
        upright.thumbnail((side, side))
        buffer = io.BytesIO()
        upright.save(buffer, "JPEG", quality=_QUALITY)
        if buffer.tell() <= most_bytes:
            return buffer.getvalue()
    raise DataError(f"a picture of {len(picture) / 1e6:.1f} MB does not fit into a request")
