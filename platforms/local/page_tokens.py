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
    return json.loads(base64.urlsafe_b64decode(token.encode()))


def next_token(end: int, items: Sized) -> dict[str, str]:
    """Return the ``NextToken`` of a page that ends before ``end``; nothing if it is the last."""
    return {"NextToken": token_of(end)} if len(items) > end else {}
