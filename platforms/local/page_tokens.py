"""Tokens that lead to the next page: a value of ours in words that a URL can hold."""

from __future__ import annotations

import base64
import json
from collections.abc import Sized
from typing import Any


def token_of(value: Any) -> str:
    """Return the token that stands for a value."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


def read_token(token: str) -> Any:
    """Return the value that a token stands for.

    Raises:
        ValueError: it is not one of ours.
    """
    try:
        return json.loads(base64.urlsafe_b64decode(token.encode()))
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def read_offset(token: str) -> int:
    """Return how many items come before the page that a token leads to.

    Raises:
        ValueError: it is not one of ours.
    """
    offset = read_token(token)
    if type(offset) is not int or offset < 0:
        raise ValueError(f"{offset!r} is no number of items")
    return offset


def next_token(end: int, items: Sized) -> dict[str, str]:
    """Return the ``NextToken`` of a page that ends before ``end``; nothing if it is the last."""
    return {"NextToken": token_of(end)} if len(items) > end else {}
