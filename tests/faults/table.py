"""The one table that the tests of faults print."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Row:
    """One part of the tests of faults: what there was, what was played, what did not hold."""

    part: str
    boundaries: int = 0
    schedules: int = 0
    guards: int = 0
    mutants: int = 0
    violations: int = 0
    seconds: float = 0.0


def print_table(rows: Sequence[Row], *, seconds: float) -> None:
    """Print the rows, and their sum."""
    names = ("boundaries", "schedules", "guards", "mutants", "violations")
    total = Row(
        part="all",
        seconds=seconds,
        **{name: sum(getattr(row, name) for row in rows) for name in names},
    )
    print(
        f"{'part':<28}{'boundaries':>12}{'schedules':>11}{'guards':>8}{'mutants':>9}"
        f"{'violations':>12}{'seconds':>9}"
    )
    for row in [*rows, total]:
        print(
            f"{row.part:<28}{row.boundaries:>12}{row.schedules:>11}{row.guards:>8}"
            f"{row.mutants:>9}{row.violations:>12}{row.seconds:>9.0f}"
        )
