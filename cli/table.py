"""Plain tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TextIO


def print_table(rows: Sequence[dict[str, str]], *, empty: str, file: TextIO | None = None) -> None:
    """Print rows under their keys, columns aligned; ``empty`` when there are none."""
    if not rows:
        print(empty, file=file)
        return
    columns = list(rows[0])
    widths = [max(len(column), *(len(row[column]) for row in rows)) for column in columns]
    for cells in (columns, *([row[column] for column in columns] for row in rows)):
        line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
        print(line.rstrip(), file=file)


def print_facts(facts: Mapping[str, object]) -> None:
    """Print what is said of one thing, a line each under its name."""
    for name, value in facts.items():
        print(f"{name:>14}  {value}")
