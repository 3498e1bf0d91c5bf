"""One wait for everything that takes long: jittered, bound by a deadline, deaf to hiccups."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as ServiceConnectionError

from platforms.errors import DeadlinePassed

# botocore's own list of throttling and transient codes, as far as these services use them.
_TRANSIENT_CODES = {
    "InternalFailure",
    "InternalServerError",
    "ModelNotReadyException",
    "PriorRequestNotComplete",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "RequestTimeout",
    "RequestTimeoutException",
    "ServiceUnavailable",
    "SlowDown",
    "ThrottledException",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
}
_BROKEN_CONNECTION = (ServiceConnectionError, HTTPClientError, ConnectionError, TimeoutError)
# Enough that waits which started together drift apart; more would cost detection time.
_JITTER = 0.05
# Between an answer and the next question, as a share of the pace, however slow the answer was.
_SHORTEST_REST = 0.2


def is_transient(error: BaseException) -> bool:
    """Say whether trying again may help: throttling, 5xx, a broken connection."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return error.response.get("Error", {}).get("Code") in _TRANSIENT_CODES or status >= 500
    return isinstance(error, _BROKEN_CONNECTION)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often to ask: ``slowest`` seconds apart, for at most ``deadline`` seconds.

    At 5 seconds that is fewer than 0.2 questions a second, and 95 of 100 jobs are seen to be
    finished within 5 seconds.
    """

    slowest: float
    deadline: float

    def delay(self, draw: Callable[[], float]) -> float:
        """Return the next delay in seconds: ``slowest`` and up to 5 % more, ``draw()`` of them."""
        return self.slowest * (1 + _JITTER * draw())


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

    A transient error of ``describe`` or ``watch`` counts as "not yet": the job goes on, and so
    does the wait. The last question is asked when the deadline has come.

    Raises:
        DeadlinePassed: nothing finished within ``pace.deadline`` seconds.
    """
    clock = clock or Clock()
    end = clock.now() + pace.deadline
    trouble: Exception | None = None
    while True:
        began = clock.now()
        try:
            description = describe()
            watch(description)
            if finished(description):
                return description
        except (ClientError, *_BROKEN_CONNECTION) as error:
            if not is_transient(error):
                raise
            trouble = error
        now = clock.now()
        left = end - now
        if left <= 0:
            raise DeadlinePassed(
                f"{what} did not finish within {pace.deadline:.0f} seconds; it may still be "
                f"running: see `whippet jobs`"
            ) from trouble
        # From question to question: a slow answer must not make the next one later.
        rest = max(_SHORTEST_REST * pace.slowest, pace.delay(clock.draw) - (now - began))
        clock.sleep(min(rest, left))
