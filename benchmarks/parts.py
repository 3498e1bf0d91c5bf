"""A benchmark of several parts, as tables of Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.instrumentation import Row


def print_parts(parts: Iterable[Sequence[Row]]) -> int:
    """Print the rows of each part, then all of them; return the exit code."""
    rows: list[Row] = []
    for part in parts:
        rows += part
        _print(part)
    _print(rows)
    return 0 if all(row.met is not False for row in rows) else 1


def _print(rows: Sequence[Row]) -> None:
    print("\n| | measured | goal |\n|---|---:|---:|")
    for row in rows:
        missed = " (missed)" if row.met is False else ""
        # Shown at once: a benchmark that is cut off has told what it knows.
        print(f"| {row.what} | {row.measured} | {row.goal}{missed} |", flush=True)
