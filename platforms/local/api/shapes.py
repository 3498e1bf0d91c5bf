"""Convert JSON of SageMaker's protocol to boto3's values and back, by botocore's model.

Protocol "AWS JSON 1.1": times are seconds since 1970, bytes are base64, everything else is
unchanged.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from platforms.errors import WhippetError


class WireError(WhippetError):
    """Raised when a value is not written as the protocol has it."""


def from_wire(value: Any, shape: Shape | None) -> Any:
    """Return what boto3's caller would have passed; null members count as absent. What does not fit
    the shape, including unknown members, stays unchanged: validation names it.

    Raises:
        WireError: a time or bytes that are written in another way than the protocol's.
    """
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        members = {key: item for key, item in value.items() if item is not None}
        return {key: from_wire(item, shape.members.get(key)) for key, item in members.items()}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [from_wire(item, shape.member) for item in value]
    if isinstance(shape, MapShape) and isinstance(value, dict):
        return {key: from_wire(item, shape.value) for key, item in value.items()}
    return value if shape is None else _scalar(value, shape)


def _scalar(value: Any, shape: Shape) -> Any:
    try:
        if shape.type_name == "timestamp":
            return datetime.fromtimestamp(_number(value), UTC)
        if shape.type_name == "blob" and isinstance(value, str):
            return base64.b64decode(value, validate=True)
    except (OverflowError, ValueError, OSError, binascii.Error) as error:
        raise WireError(
            f"{value!r} is not a valid {shape.type_name} of the JSON protocol: {error}"
        ) from error
    return value


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("give seconds since 1970")
    return value


def to_wire(value: Any, shape: Shape | None) -> Any:
    """Return the JSON of an answer; members that the operation does not have are left out."""
    return _written(only_members(value, shape))


def only_members(value: Any, shape: Shape | None) -> Any:
    """Return an answer without members that the operation does not have, or that are None."""
    if isinstance(shape, StructureShape):
        return {
            key: only_members(value[key], member)
            for key, member in shape.members.items()
            if value.get(key) is not None
        }
    if isinstance(shape, ListShape):
        return [only_members(item, shape.member) for item in value]
    if isinstance(shape, MapShape):
        return {key: only_members(item, shape.value) for key, item in value.items()}
    return value


def _written(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _written(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_written(item) for item in value]
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value
