"""Waiting for what other processes do, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str, seconds: float = 60, pause: float = 0.05) -> T:
    """Return the first true value of ``condition``.

    Raises:
        AssertionError: There was none within ``seconds``; the message names ``what``.
    """
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"no {what} within {seconds} s"
        time.sleep(pause)
    return value
