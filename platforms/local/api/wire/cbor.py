"""CBOR as Smithy's RPC v2 protocol uses it: JSON's values, bytes, and times as tag 1."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.parsers import ResponseParserError, RpcV2CBORParser

from platforms.errors import WhippetError

_POSITIVE, _NEGATIVE, _BYTES, _TEXT, _LIST, _MAP, _TAG = range(7)
_FALSE, _TRUE, _NULL, _DOUBLE = 0xF4, 0xF5, 0xF6, 0xFB
_SECONDS_SINCE_1970 = 1
# Up to which number an item's head has so many bytes, and the code that says so.
_SIZES = (
    (0xFF, 24, "B"),
    (0xFFFF, 25, "H"),
    (0xFFFF_FFFF, 26, "I"),
    (0xFFFF_FFFF_FFFF_FFFF, 27, "Q"),
)


class CborError(WhippetError):
    """Raised when a body is not CBOR, or holds what this protocol has not."""


def decode(body: bytes) -> Any:
    """Return the value of a body; nulls in maps are left out.

    Raises:
        CborError: it is cut off, too deep, or no CBOR of this protocol.
    """
    parser = RpcV2CBORParser()
    try:
        return parser.parse_data_item(parser.get_peekable_stream_from_bytes(body))
    # A RuntimeError is a recursion too deep, or a time that no clock has.
    except (ResponseParserError, ValueError, OverflowError, RuntimeError, TypeError) as error:
        raise CborError(f"The body is not CBOR: {error}") from error


def encode(value: Any) -> bytes:
    """Return a value as CBOR; ``value`` is what boto3 would return.

    Raises:
        TypeError: it holds something else.
    """
    if isinstance(value, Mapping):
        items = [part for pair in value.items() for part in pair]
        return _head(_MAP, len(value)) + b"".join(map(encode, items))
    if isinstance(value, list | tuple):
        return _head(_LIST, len(value)) + b"".join(map(encode, value))
    return _scalar(value)


def _scalar(value: Any) -> bytes:
    if value is None or isinstance(value, bool):
        return bytes([_NULL if value is None else _TRUE if value else _FALSE])
    if isinstance(value, int):
        return _head(_POSITIVE, value) if value >= 0 else _head(_NEGATIVE, -1 - value)
    if isinstance(value, float):
        return struct.pack(">Bd", _DOUBLE, value)
    if isinstance(value, datetime):
        return _head(_TAG, _SECONDS_SINCE_1970) + _scalar(value.timestamp())
    if isinstance(value, str):
        text = value.encode("utf-8", "replace")
        return _head(_TEXT, len(text)) + text
    if isinstance(value, bytes):
        return _head(_BYTES, len(value)) + value
    raise TypeError(f"{type(value).__name__} has no CBOR in this protocol")


def _head(kind: int, number: int) -> bytes:
    """Return the first bytes of an item: what it is, and its number or length."""
    if number < _SIZES[0][1]:
        return bytes([kind << 5 | number])
    _, code, size = next(each for each in _SIZES if number <= each[0])
    return struct.pack(f">B{size}", kind << 5 | code, number)
