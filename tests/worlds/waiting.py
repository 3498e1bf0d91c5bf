"""Waiting for what other processes do, with an end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
# Less for who knows that nothing comes: tests/faults takes guards out.
_PATIENCE = float(os.environ.get("TEST_PATIENCE", "240"))
_LONGEST_PAUSE = 0.25


def wait_for(
    condition: Callable[[], T],
    what: str | Callable[[], object],
    seconds: float = _PATIENCE,
    pause: float = 0.05,
) -> T:
    """Return the first true value of ``condition``.

    The default is generous: a busy machine is no fault. What takes long to ask, as a server does,
    is asked less often: it takes the processor from what is waited for.

    Raises:
        AssertionError: There was none within ``seconds``; the message tells ``what``, which is
            asked then if it can be called.
    """
    asked = time.monotonic()
    end = asked + seconds
    while not (value := condition()):
        told = what() if callable(what) and time.monotonic() >= end else what
        assert time.monotonic() < end, f"no {told} within {seconds} s"
        time.sleep(max(pause, min(_LONGEST_PAUSE, 4 * (time.monotonic() - asked))))
        asked = time.monotonic()
    return value
