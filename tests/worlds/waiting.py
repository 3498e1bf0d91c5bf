"""Waiting for what other processes do, with an end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
# Less for who knows that nothing comes: tests/faults takes guards out.
_PATIENCE = float(os.environ.get("TEST_PATIENCE", "240"))


def wait_for(
    condition: Callable[[], T],
    what: str | Callable[[], object],
    seconds: float = _PATIENCE,
    pause: float = 0.05,
) -> T:
    """Return the first true value of ``condition``.

    The default is generous: a busy machine is no fault.

    Raises:
        AssertionError: There was none within ``seconds``; the message tells ``what``, which is
            asked then if it can be called.
    """
    end = time.monotonic() + seconds
    while not (value := condition()):
        told = what() if callable(what) and time.monotonic() >= end else what
        assert time.monotonic() < end, f"no {told} within {seconds} s"
        time.sleep(pause)
    return value
