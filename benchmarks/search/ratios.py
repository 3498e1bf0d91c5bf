"""Ratios of two things that ran next to each other: drift of the machine affects both alike."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

from benchmarks.instrumentation import Row


@dataclass(slots=True, kw_only=True)
class Ratios:
    """Ratios of what ran next to each other."""

    values: list[float] = field(default_factory=list)

    def add(self, part: float, whole: float) -> None:
        """Note one pair."""
        self.values.append(part / whole)

    @property
    def median(self) -> float:
        """The middle ratio."""
        return statistics.median(self.values)

    def told(self, what: str) -> Row:
        """Return the line of the table of what has no goal."""
        return Row(what=what, measured=self._measured())

    def row(self, what: str, goal: float, *, at_least: bool = False) -> Row:
        """Return the line of the table, with the goal that it met or missed."""
        met = self.median >= goal if at_least else self.median <= goal
        sign = "≥" if at_least else "≤"
        return Row(what=what, measured=self._measured(), goal=f"{sign} {goal:g} times", met=met)

    def _measured(self) -> str:
        spread = ""
        if len(self.values) > 1:
            low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
            spread = f" [{low:.3g}, {high:.3g}]"
        return f"{self.median:.3g} times{spread}"
