"""Which request bodies take long to make a picture of: told from their first bytes, in no time."""

from __future__ import annotations

from sm_entrypoints.images.cost import decoding_cost
from sm_entrypoints.serving.bodies import BodyError, picture_bytes

# 1,920 x 1,080 pixels in a plain JPEG: about 15 ms.
LIGHT_COST = 2_200_000
# Bytes to look through in search of a picture.
LIGHT_BYTES = 256 * 1024
# The bytes of a picture whose pixels tell little of its cost.
_LARGE_BYTES = 1024 * 1024
_PICTURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")


def is_heavy(body: bytes) -> bool:
    """Tell whether unwrapping and decoding a body takes long; what is refused at once does not."""
    try:
        picture = _unwrapped(body)
    except BodyError as error:
        return error.status_code == 413  # there is more in it than is worth a look
    return len(picture) > _LARGE_BYTES or decoding_cost(picture) > LIGHT_COST


def _unwrapped(body: bytes) -> bytes:
    if body.startswith(_PICTURES):
        return body
    if len(body) > LIGHT_BYTES:
        raise BodyError(413, "There is more than a look tells.")
    return picture_bytes(body, most=LIGHT_BYTES)
