"""Which training steps are sampled: often enough to be useful, rarely enough to be cheap."""

from __future__ import annotations

import math

# Share of training time that sampling may take, as far as it is timed here. Measured from outside
# a sample costs about twice as much (caches, slower neighbours): the whole stays below 1%.
OVERHEAD_TARGET = 0.004
SHORTEST_STRIDE = 20
FIRST_STEPS = 2
# What a job may spend beyond its share, so that a short one is seen in each of its epochs.
ALLOWANCE_SECONDS = 0.5


class Stride:
    """Decide which steps are sampled.

    The first steps of a job are, then every ``length``-th; the first step of an epoch, too, where
    that is affordable. Without a fixed length, the length follows the cost of a sample, so that
    sampling takes ``OVERHEAD_TARGET`` of training time.

    Args:
        fixed: the distance between two samples, in steps; None adapts it.

    Raises:
        ValueError: ``fixed`` is less than 1.
    """

    def __init__(self, fixed: int | None = None) -> None:
        if fixed is not None and fixed < 1:
            raise ValueError(f"a stride must be at least 1 step, not {fixed}")
        self._fixed = fixed
        self._typical = 0.0
        self._cost = 0.0
        self._spent = 0.0
        self._trained = 0.0
        self._next = 0
        self.length = fixed or SHORTEST_STRIDE

    def due(self, step: int, *, begins_epoch: bool = False) -> bool:
        """Return whether to sample training step ``step`` (from 0)."""
        if step < FIRST_STEPS or step >= self._next:
            return True
        return begins_epoch and self._affordable()

    def passed(self, seconds: float) -> None:
        """Say that a step that was not sampled took ``seconds``."""
        self._trained += seconds
        self._typical = 0.9 * self._typical + 0.1 * seconds if self._typical else seconds

    def sampled(self, step: int, seconds: float, cost: float, *, thinning: int = 1) -> None:
        """Say that ``step`` was sampled: it took ``seconds``, and sampling it ``cost`` seconds.

        ``thinning`` multiplies the distance to the next sample.
        """
        self._trained += seconds
        self._cost = cost
        self._spent += cost
        if self._fixed is None and self._typical > 0:
            needed = math.ceil(cost / (OVERHEAD_TARGET * self._typical))
            self.length = max(SHORTEST_STRIDE, needed)
        self._next = step + self.length * thinning

    def _affordable(self) -> bool:
        budget = ALLOWANCE_SECONDS + OVERHEAD_TARGET * self._trained
        return self._spent + self._cost <= budget
