"""One wait for everything that takes long, with jitter and a deadline; ignores transient errors."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from botocore.exceptions import ClientError

from platforms.client_errors import BROKEN_CONNECTION, is_not_found, is_transient
from platforms.errors import DeadlinePassed

# What is asked for again and again.
D = TypeVar("D")
# All of these are shares of the pace.
# Nothing that is waited for ends at once: the first gap is longer by up to this, which saves
# questions, and lets waits that started together ask at different moments for ever after.
_FIRST_GAP = 2.0
# Between an answer and the next question, however slow the answer was.
_SHORTEST_REST = 0.2
# A question that met trouble is repeated after this, and up to as much again.
_REPEAT = 0.1
# What was created a moment ago may not be there yet for whoever describes it.
_UNSEEN_SECONDS = 60.0
# Repetitions are asked in advance, up to this many questions' time, and paid back by longer gaps.
_MOST_ADVANCE = 3.0
_LONGEST_GAP = 1.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often to call: ``slowest`` seconds apart, for at most ``deadline`` seconds. At 5 seconds
    that is 0.2 calls a second, repetitions included, and 95 of 100 finished jobs are noticed within
    5 seconds, if few calls fail (benchmarks/detection.py). ``interrupt`` is called between the
    calls, and may raise.
    """

    slowest: float
    deadline: float
    interrupt: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """Time as seen by a wait; a seam, so that tests do not sleep."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = random.random


@dataclass(slots=True, kw_only=True)
class _Schedule:
    """When the next question is due, by how many were asked since ``began``."""

    slowest: float
    clock: Clock
    began: float
    asked: int = 0
    sent: float = 0.0
    unseen_since: float | None = None

    def note_question(self) -> None:
        """Take note of a question that is sent now."""
        self.asked, self.sent = self.asked + 1, self.clock.now()

    def may_pass(self, error: Exception) -> bool:
        """Say whether the answer to a question may be another one soon."""
        if not (isinstance(error, ClientError) and is_not_found(error)):
            return is_transient(error)
        if self.unseen_since is None:
            self.unseen_since = self.clock.now()
        return self.clock.now() - self.unseen_since < _UNSEEN_SECONDS

    def rest(self, *, troubled: bool) -> float:
        """Return the seconds until the next question.

        From question to question: a slow answer must not make the next one later.
        """
        gap = self._repetition() if troubled else None
        if gap is None:
            gap = self._first_gap() if self.asked == 1 else self._gap()
        shortest = _REPEAT if troubled else _SHORTEST_REST
        return max(shortest * self.slowest, self.sent + gap - self.clock.now())

    def _first_gap(self) -> float:
        return self.slowest * (1 + _FIRST_GAP * self.clock.draw())

    def _repetition(self) -> float | None:
        gap = self.slowest * _REPEAT * (1 + self.clock.draw())
        return gap if self._paid() - gap <= _MOST_ADVANCE * self.slowest else None

    def _gap(self) -> float:
        return min(max(self._paid(), self.slowest), _LONGEST_GAP * self.slowest)

    def _paid(self) -> float:
        """Return how long after the last question the rate allows for the next one.

        One question is kept in hand, which the first gap saved: the last one comes early.
        """
        return self.began + (self.asked + 1) * self.slowest - self.sent


def wait_until(
    describe: Callable[[], D],
    finished: Callable[[D], bool],
    *,
    what: str,
    pace: Pace,
    watch: Callable[[D], None] = lambda _: None,
    clock: Clock | None = None,
) -> D:
    """Return the first description that is ``finished``; each one is shown to ``watch``.

    A transient error of ``describe`` or ``watch`` counts as "not yet", and so does "not found" for
    a minute: the job and the wait continue, and the call is soon repeated. The last call is made at
    the deadline. ``pace.interrupt`` is called as long as nothing is finished, even after an error;
    an exception from it ends the wait, unless it is transient too.

    Raises:
        DeadlinePassed: nothing finished within ``pace.deadline`` seconds.

    Example:
        >>> from tasks.requests.waiting import Pace, wait_until
        >>> statuses = iter(["InProgress", "Completed"])
        >>> wait_until(
        ...     lambda: {"TrainingJobStatus": next(statuses)},
        ...     lambda job: job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"),
        ...     what="training job 'pets'",
        ...     pace=Pace(slowest=0.01, deadline=60),
        ... )
        {'TrainingJobStatus': 'Completed'}
    """
    clock = clock or Clock()
    schedule = _Schedule(slowest=pace.slowest, clock=clock, began=clock.now())
    end = schedule.began + pace.deadline
    trouble: Exception | None = None
    while True:
        schedule.note_question()
        troubled = False
        try:
            description = describe()
            schedule.unseen_since = None
            watch(description)
            if finished(description):
                return description
        except (ClientError, *BROKEN_CONNECTION) as error:
            if not schedule.may_pass(error):
                raise
            trouble, troubled = error, True
        _give_a_chance(pace.interrupt)
        left = end - clock.now()
        if left <= 0:
            raise DeadlinePassed(
                f"{what} did not finish within {pace.deadline:.0f} seconds; it may still be "
                f"running: see `whippet jobs`"
            ) from trouble
        clock.sleep(min(schedule.rest(troubled=troubled), left))


def _give_a_chance(interrupt: Callable[[], None]) -> None:
    try:
        interrupt()
    except (ClientError, *BROKEN_CONNECTION) as error:
        if not is_transient(error):
            raise
