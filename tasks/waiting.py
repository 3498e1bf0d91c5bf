"""One wait for everything that takes long: jittered, bound by a deadline, deaf to hiccups."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

from platforms.errors import DeadlinePassed

_TRANSIENT_CODES = {
    "InternalFailure",
    "InternalServerError",
    "RequestLimitExceeded",
    "RequestTimeout",
    "ServiceUnavailable",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}


def is_transient(error: BaseException) -> bool:
    """Say whether trying again may help: throttling, 5xx, a broken connection."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return error.response.get("Error", {}).get("Code") in _TRANSIENT_CODES or status >= 500
    return isinstance(error, ConnectionError | HTTPClientError | TimeoutError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often to ask: from ``first`` to ``slowest`` seconds apart, for ``deadline`` seconds."""

    slowest: float
    deadline: float
    first: float = 0.5

    def delays(self, draw: Callable[[], float]) -> Callable[[], float]:
        """Return a function that gives the next delay, jittered by ±20 %."""
        state = {"next": min(self.first, self.slowest)}

        def following() -> float:
            delay = state["next"]
            state["next"] = min(delay * 1.5, self.slowest)
            return delay * (0.8 + 0.4 * draw())

        return following


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Time as seen by a wait; a seam, so that tests do not sleep."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = random.random


def wait_until(
    describe: Callable[[], dict[str, Any]],
    finished: Callable[[dict[str, Any]], bool],
    *,
    what: str,
    pace: Pace,
    watch: Callable[[dict[str, Any]], None] = lambda _: None,
    clock: Clock | None = None,
) -> dict[str, Any]:
    """Return the first description that is ``finished``; each one is shown to ``watch``.

    A transient error of ``describe`` counts as "not yet": the job goes on, and so does the wait.

    Raises:
        DeadlinePassed: nothing finished within ``pace.deadline`` seconds.
    """
    clock = clock or Clock()
    delay = pace.delays(clock.draw)
    end = clock.now() + pace.deadline
    while True:
        try:
            description = describe()
        except (ClientError, ConnectionError, HTTPClientError, TimeoutError) as error:
            if not is_transient(error):
                raise
        else:
            watch(description)
            if finished(description):
                return description
        pause = delay()
        if clock.now() + pause > end:
            raise DeadlinePassed(
                f"{what} did not finish within {pace.deadline:.0f} seconds; it may still be "
                f"running: see `whippet jobs`"
            )
        clock.sleep(pause)
